# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make the virtual environments that the Makefile uses, one per family of tools, since their pins clash.

    python3 tools/environments.py NAME...     make them where they are missing or their requirements changed
    python3 tools/environments.py --pythons   list the interpreters found

A family whose interpreters are all missing is reported and left out (exit status 0, no directory); `main` must exist.
Runs on any Python from 3.8 on; uses pyenv's interpreters and those on PATH.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / ".build"

FAMILIES = {
    # name: (directory, acceptable Pythons, best first)
    "main": (ROOT / ".venv", ("3.13", "3.12", "3.14", "3.11")),
    "floor": (BUILD / "venvs" / "floor", ("3.11", "3.12", "3.13")),
    "lint": (BUILD / "venvs" / "lint", ("3.13", "3.12", "3.14", "3.11")),
    "importer": (BUILD / "venvs" / "importer", ("3.13", "3.12", "3.11")),
}
# Families that run the collection see the staged checkout as an installed one.
_RUNS_COLLECTION = {"main", "floor"}
_LAUNCHER = """#!{python}
import sys
from ansible_collections.scripts.toolkit.cli import main
sys.exit(main())
"""


def pythons() -> dict[str, str]:
    """Return ``{"3.11": path}`` of the CPython interpreters found, newest patch release first."""
    roots = [os.environ.get("PYENV_ROOT"), os.path.expanduser("~/.pyenv")]
    directories: list[str] = []
    for root in filter(None, roots):
        found = glob.glob(os.path.join(root, "versions", "3.*", "bin"))
        directories += sorted(found, key=lambda path: [int(part) for part in re.findall(r"\d+", path)], reverse=True)
    directories += os.environ.get("PATH", "").split(os.pathsep)
    result: dict[str, str] = {}
    for directory in directories:
        if not directory or directory.endswith("shims") or str(ROOT) in directory:
            continue
        for path in sorted(glob.glob(os.path.join(directory, "python3*"))):
            version = _version_of(path)
            if version:
                result.setdefault(version, path)
    return result


def _version_of(path: str) -> str | None:
    name = os.path.basename(path)
    if not re.fullmatch(r"python3(\.\d+)?", name) or not os.access(path, os.X_OK):
        return None
    if name != "python3":
        return name[len("python") :]
    program = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([path, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _ensure_venv_module(python: str, version: str) -> None:
    """Debian leaves ensurepip out of its Python; install it where we may."""
    if subprocess.run([python, "-c", "import ensurepip, venv"], capture_output=True, check=False).returncode == 0:
        return
    package = f"python{version}-venv"
    if not shutil.which("apt-get"):
        raise SystemExit(f"{python} has no venv module. Install it (on Debian: the package {package}) and try again.")
    prefix = [] if os.geteuid() == 0 else ["sudo"]
    if prefix and not shutil.which("sudo"):
        raise SystemExit(f"{python} has no venv module and sudo is missing. As root: apt-get install {package}")
    _say(f"Installing {package}, which Debian leaves out of its Python ...")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update", "-qq"], ["install", "-qq", "-y", "--no-install-recommends", package]):
        subprocess.run([*prefix, "apt-get", *arguments], check=True, env=environment, stdout=sys.stderr)


def _stamp(python: str, requirements: Path) -> str:
    text = requirements.read_text(encoding="utf-8") + Path(__file__).read_text(encoding="utf-8") + python + str(ROOT)
    return hashlib.sha256(text.encode()).hexdigest()


def make(name: str, found: dict[str, str]) -> bool:
    """Make the family's environment; return whether it exists now."""
    directory, wanted = FAMILIES[name]
    version = next((candidate for candidate in wanted if candidate in found), None)
    if version is None:
        _say(f"No Python {', '.join(wanted)} found: {name} is left out.")
        return False
    python = found[version]
    requirements = ROOT / "tests" / f"requirements-{name}.txt"
    stamp, mark = _stamp(python, requirements), directory / "made-for"
    if mark.is_file() and mark.read_text(encoding="utf-8") == stamp:
        return True
    _ensure_venv_module(python, version)
    _say(f"Making {directory.relative_to(ROOT)} with Python {version} ...")
    shutil.rmtree(directory, ignore_errors=True)
    directory.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([python, "-m", "venv", str(directory)], check=True)
    inside = str(directory / "bin" / "python")
    pip = [inside, "-m", "pip", "--disable-pip-version-check", "-qq", "install"]
    subprocess.run([*pip, "--prefer-binary", "-r", str(requirements)], check=True)
    if name in _RUNS_COLLECTION:
        ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
        packages = Path(subprocess.run([inside, "-c", ask], capture_output=True, text=True, check=True).stdout.strip())
        (packages / "scripts-toolkit-checkout.pth").write_text(f"{BUILD}\n", encoding="utf-8")
        launcher = directory / "bin" / "toolkit"
        launcher.write_text(_LAUNCHER.format(python=inside), encoding="utf-8")
        launcher.chmod(0o755)
    mark.write_text(stamp, encoding="utf-8")
    return True


def main(arguments: list[str]) -> int:
    found = pythons()
    if arguments == ["--pythons"]:
        for version, path in sorted(found.items(), key=lambda pair: int(pair[0].split(".")[1])):
            print(version, path)
        return 0
    unknown = [name for name in arguments if name not in FAMILIES]
    if unknown or not arguments:
        raise SystemExit(f"usage: python3 tools/environments.py {{{','.join(FAMILIES)}}}...")
    for name in arguments:
        if not make(name, found) and name == "main":
            raise SystemExit("Python 3.11 or newer is needed. On Debian: apt-get install python3 python3-venv")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"{' '.join(map(str, error.cmd))} failed with exit status {error.returncode}.") from None
