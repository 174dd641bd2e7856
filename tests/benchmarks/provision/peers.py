# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The peers' programs: taken from directories that are named, else fetched into .build/bench; never committed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

__all__ = ["Peers"]

_HERE = Path(__file__).resolve().parent
_ROLES = ("security", "firewall", "nginx", "php", "mysql", "php-mysql")


class Peers:
    """What is there of the peers.

    :param build: directory for what is fetched.
    :param environment: a virtual environment with the packages of requirements.txt; ``None``: make one.
    :param roles: a directory with the roles of geerlingguy-requirements.yml; ``None``: fetch them.
    :param tell: is told in a sentence what takes time.
    """

    def __init__(self, build: Path, environment: Path | None, roles: Path | None, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self.absent: dict[str, str] = {}
        """The contenders that can't take part, and why."""
        self.programs = self._environment(environment, build / "venv")
        self.roles = self._find_roles(roles, build / "roles")

    def program(self, name: str) -> str:
        """Return the path of a program of the environment that all contenders share."""
        return str(self.programs / name)

    def versions(self) -> dict:
        """Return the versions of the programs and, where they can be told, of the roles."""
        names = "ansible", "ansible-core", "pyinfra", "Jinja2", "cryptography", "paramiko"
        script = (
            "import importlib.metadata as m, json, platform as p, sys\n"
            "found = {d.metadata['Name'].lower(): d.version for d in m.distributions()}\n"
            "print(json.dumps({'python': p.python_version(), **{n: found.get(n.lower()) for n in sys.argv[1:]}}))"
        )
        asked = subprocess.run(
            [self.program("python"), "-c", script, *names], capture_output=True, text=True, check=True
        )
        found = {name: version for name, version in json.loads(asked.stdout).items() if version}
        for role in _ROLES if self.roles else ():
            place = self.roles / f"geerlingguy.{role}"
            found[place.name] = _role_version(place)
        return found

    def _environment(self, given: Path | None, default: Path) -> Path:
        """Return the directory of programs in which both ``ansible`` and pyinfra are; ours if they can't be had."""
        place = (given or default).absolute()
        if not (place / "bin" / "pyinfra").exists() and not given:
            self._tell(f"Installing the packages ansible and pyinfra in {place} ...")
            try:
                venv.create(place, with_pip=True)
                pip = [str(place / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "-q", "install"]
                subprocess.run([*pip, "-r", str(_HERE / "requirements.txt")], check=True)
            except (OSError, subprocess.SubprocessError) as error:
                self._tell(f"pip: {error}")
        if (place / "bin" / "pyinfra").exists() and (place / "bin" / "ansible-playbook").exists():
            return place / "bin"
        reason = f"there is no environment with ansible and pyinfra in {place}"
        self.absent.update(geerlingguy=reason, pyinfra=reason)
        return Path(sys.executable).parent

    def _find_roles(self, given: Path | None, default: Path) -> Path | None:
        place = (given or default).absolute()
        wanted = [place / f"geerlingguy.{role}" for role in _ROLES]
        if not all(role.is_dir() for role in wanted) and not given:
            self._tell(f"Fetching the geerlingguy roles to {place} ...")
            requirements = str(_HERE / "geerlingguy-requirements.yml")
            galaxy = [self.program("ansible-galaxy"), "role", "install", "-r", requirements, "-p", str(place)]
            try:
                subprocess.run(galaxy, check=True, stdout=subprocess.DEVNULL)
            except (OSError, subprocess.SubprocessError) as error:
                self._tell(f"ansible-galaxy: {error}")
        if all(role.is_dir() for role in wanted):
            return place
        self.absent.setdefault("geerlingguy", f"its roles are not in {place}")
        return None


def _role_version(place: Path) -> str:
    """Return the version that ansible-galaxy noted, or git's, of a role."""
    noted = place / "meta" / ".galaxy_install_info"
    if noted.exists():
        found = re.search(r"^version:\s*'?([^'\s]+)", noted.read_text(encoding="utf-8"), re.MULTILINE)
        return found[1] if found else "?"
    git = ["git", "-C", str(place), "describe", "--tags", "--always"]
    return subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip() or "?"
