# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The others who record Ansible runs: their environment, how each is switched on, and the servers that some need.

Nothing here is imported from ansible-core, so any program of the benchmark can use it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import venv
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["LABELS", "environment_of", "find_environment", "free_port", "serve", "server_seconds", "versions"]

HERE = Path(__file__).resolve().parent

LABELS = {
    "none": "no callback",
    "default": "ansible's own default output",
    "ours": "scripts.toolkit.audit",
    "bare": "bare JSON + SHA-256 + append",
    "log_plays": "community.general.log_plays",
    "jsonl": "ansible.posix.jsonl (instead of the default output)",
    "otel_live": "community.general.opentelemetry, receiver there",
    "otel_dead": "community.general.opentelemetry, receiver gone",
    "ara_http": "ARA, over http",
    "ara_offline": "ARA, offline",
}
_TICKS = os.sysconf("SC_CLK_TCK")
_PACKAGES = "ansible-core", "ansible", "ara", "opentelemetry-sdk", "cryptography"


def find_environment(given: Path | None, default: Path, tell: Callable[[str], None]) -> tuple[Path, dict[str, str]]:
    """Return the directory of programs of an environment with requirements.txt, and who can't take part and why.

    :param given: a virtual environment that somebody made; ``None``: make one in ``default``.
    """
    place = (given or default).absolute()
    if not (place / "bin" / "ara-manage").exists() and not given:
        tell(f"Installing the peers of requirements.txt in {place} ...")
        try:
            venv.create(place, with_pip=True)
            pip = [str(place / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "-q", "install"]
            subprocess.run([*pip, "-r", str(HERE / "requirements.txt")], check=True)
        except (OSError, subprocess.SubprocessError) as error:
            tell(f"pip: {error}")
    if (place / "bin" / "ara-manage").exists():
        return place / "bin", {}
    reason = f"there is no environment with requirements.txt in {place}"
    missing = ("log_plays", "jsonl", "otel_live", "otel_dead", "ara_http", "ara_offline")
    return Path(sys.executable).parent, dict.fromkeys(missing, reason)


def versions(programs: Path) -> dict[str, str]:
    """Return the versions of Python and of the packages that matter."""
    script = (
        "import importlib.metadata as m, platform as p, sys\n"
        "print('python', p.python_version())\n"
        "for n in sys.argv[1:]:\n"
        "    try: print(n, m.version(n))\n"
        "    except m.PackageNotFoundError: pass\n"
    )
    asked = subprocess.run(
        [str(programs / "python"), "-c", script, *_PACKAGES], capture_output=True, text=True, check=True
    )
    return dict(line.split() for line in asked.stdout.splitlines())


def environment_of(name: str, programs: Path, place: Path, ports: dict[str, int]) -> dict[str, str]:
    """Return the environment variables that switch the recorder ``name`` on.

    :param place: its directory for this run.
    :param ports: of the receivers ``otel`` and ``ara``, and one where nobody listens, ``dead``.
    """
    otel = {
        "ANSIBLE_CALLBACKS_ENABLED": "community.general.opentelemetry",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{ports.get('dead' if name == 'otel_dead' else 'otel')}",
        "ANSIBLE_OPENTELEMETRY_DISABLE_ATTRIBUTES_IN_LOGS": "true",
    }
    ara = {
        "ANSIBLE_CALLBACKS_ENABLED": "ara_default",
        "ANSIBLE_CALLBACK_PLUGINS": str(next(programs.parent.glob("lib/python3*/site-packages"), place))
        + "/ara/plugins/callback",
        "ARA_BASE_DIR": str(place / "ara"),
        "ARA_API_CLIENT": name.rpartition("_")[2],
        "ARA_API_SERVER": f"http://127.0.0.1:{ports.get('ara')}",
    }
    return {
        "ours": {
            "ANSIBLE_CALLBACKS_ENABLED": "scripts.toolkit.audit",
            "SCRIPTS_TOOLKIT_AUDIT_LOG_DIRECTORY": str(place / "trail"),
            "SCRIPTS_TOOLKIT_AUDIT_METRICS_PATH": str(place / "metrics.prom"),
            "SCRIPTS_TOOLKIT_AUDIT_STATE_DIRECTORY": str(place / "state"),
        },
        "log_plays": {
            "ANSIBLE_CALLBACKS_ENABLED": "community.general.log_plays",
            "ANSIBLE_LOG_FOLDER": str(place / "log_plays"),
        },
        "jsonl": {"ANSIBLE_STDOUT_CALLBACK": "ansible.posix.jsonl"},
        "otel_live": otel,
        "otel_dead": otel,
        "ara_http": ara,
        "ara_offline": ara,
    }.get(name, {})


def free_port() -> int:
    """Return a TCP port on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@contextlib.contextmanager
def serve(kind: str, programs: Path, place: Path) -> Iterator[tuple[int, subprocess.Popen]]:
    """Run the receiver ``otel`` (answers every export with 200) or ``ara`` (its API server); yield port and process."""
    port = free_port()
    if kind == "otel":
        argv = [str(programs / "python"), str(HERE / "receiver.py"), str(port)]
    else:
        argv = [str(programs / "ara-manage"), "runserver", "--noreload", f"127.0.0.1:{port}"]
    place.mkdir(parents=True, exist_ok=True)
    own = {**os.environ, "ARA_BASE_DIR": str(place), "ARA_LOG_LEVEL": "WARNING"}
    with open(place / "server.log", "wb") as log:
        if kind == "ara":
            subprocess.run([str(programs / "ara-manage"), "migrate"], env=own, stdout=log, stderr=log, check=True)
        process = subprocess.Popen(argv, env=own, stdout=log, stderr=log, cwd=place)
    try:
        _wait(port, process)
        yield port, process
    finally:
        process.terminate()
        process.wait(20)


def _wait(port: int, process: subprocess.Popen, limit: float = 60) -> None:
    end = time.monotonic() + limit
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError):
            with contextlib.suppress(urllib.error.HTTPError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
            return
        time.sleep(0.1)
    raise SystemExit(f"{process.args} did not answer on port {port}.")


def server_seconds(process: subprocess.Popen) -> float:
    """Return the processor time that a server has taken so far, in seconds."""
    fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
