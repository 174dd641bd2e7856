# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is asked for: the options of ``sandbox_command``, read and checked before anything is looked at or run."""

from __future__ import annotations

import glob
import os
import pwd
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from .._core.errors import NotFoundError, PermissionDenied, ValidationError
from .._core.files import user_id
from .._files.wire import pack, unpack

__all__ = ["SANDBOX_SPEC", "Limits", "Request", "ScriptWish", "seal", "unseal"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_UNSPEAKABLE = re.compile(r"""[\x00-\x1f\x7f"'\\:%$]""")
"""What a path must not contain: systemd would need a different escape for each, one per place."""

_LEAST_TASKS = 8
_LEAST_MEMORY = 8 << 20
"""What the launcher needs, bubblewrap included, before the command runs at all."""

_MOST_RUNTIME = 604800

_SECRET = ("environment", "stdin", "script")

_OURS = ("/proc", "/dev", "/sys", "/sandbox", "/run/systemd", "/run/host")
"""Where the sandbox has something of its own, or nothing."""

_PRIVATE = ("/", "/tmp", "/var/tmp")
"""Its own as well, but something of the host's may be put below."""

SANDBOX_SPEC = {
    "argv": {"type": "list", "elements": "str", "default": []},
    "script": {
        "type": "dict",
        "options": {
            "path": {"type": "path"},
            "src": {"type": "path"},
            "content": {"type": "str"},
            "sha256": {"type": "str"},
            "owner": {"type": "str", "default": "root"},
        },
        "mutually_exclusive": [("path", "src", "content")],
        "required_one_of": [("path", "src", "content")],
        "required_by": {"path": ["sha256"]},
    },
    "backend": {"type": "str", "choices": ["auto", "systemd", "bubblewrap"], "default": "auto"},
    "user": {"type": "str"},
    "read_paths": {"type": "list", "elements": "str", "default": []},
    "write_paths": {"type": "list", "elements": "str", "default": []},
    "environment": {"type": "dict", "default": {}},
    "stdin": {"type": "str"},
    "chdir": {"type": "str", "default": "/tmp"},
    "network": {"type": "str", "choices": ["none", "loopback", "host"], "default": "none"},
    "limits": {
        "type": "dict",
        "apply_defaults": True,
        "options": {
            "memory": {"type": "bytes"},
            "tasks": {"type": "int"},
            "cpu": {"type": "int"},
            "runtime": {"type": "float", "default": 300},
            "output": {"type": "bytes", "default": "1M"},
        },
    },
    "max_exposure": {"type": "float"},
    "creates": {"type": "str"},
    "removes": {"type": "str"},
    "expected_rc": {"type": "list", "elements": "int", "default": [0]},
}


@dataclass(frozen=True)
class Limits:
    """``memory`` and ``output`` in bytes, ``tasks`` processes and threads, ``cpu`` in percent of one processor,
    ``runtime`` in seconds. ``None`` is no limit."""

    memory: int | None
    tasks: int | None
    cpu: int | None
    runtime: float
    output: int

    @property
    def of_control_groups(self) -> dict[str, str]:
        """``{limit: the controller of the kernel's control groups that enforces it}`` of the limits that are set."""
        controllers = {"memory": "memory", "tasks": "pids", "cpu": "cpu"}
        return {name: controller for name, controller in controllers.items() if getattr(self, name) is not None}


@dataclass(frozen=True)
class ScriptWish:
    """A script on this host (``path``) or sent along (``content``, that of the controller's file ``src`` if there is
    one), and what is asked of it."""

    path: str | None
    src: str | None
    content: str | None = field(repr=False)
    sha256: str | None
    owner: str


@dataclass(frozen=True)
class Request:
    """One command and its sandbox. ``argv`` are the arguments of the script where there is one."""

    argv: tuple[str, ...]
    script: ScriptWish | None
    backend: str
    user: str | None
    read_paths: tuple[str, ...]
    write_paths: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    stdin: str | None = field(repr=False)
    chdir: str
    network: str
    limits: Limits
    max_exposure: float | None
    creates: str | None
    removes: str | None
    expected_rc: tuple[int, ...]

    @classmethod
    def from_params(cls, params: Mapping) -> Request:
        """Read the options of :data:`SANDBOX_SPEC`.

        :raises ValidationError: one has a value that makes no sense or that no backend could enforce.
        """
        values = {name: params[name] for name in SANDBOX_SPEC}
        values["script"] = ScriptWish(**params["script"]) if params["script"] else None
        values["limits"] = _limits(params["limits"])
        values["environment"] = _environment(params["environment"])
        for name in ("argv", "expected_rc"):
            values[name] = tuple(params[name])
        for name in ("read_paths", "write_paths"):
            values[name] = tuple(_path(path, name) for path in params[name])
        values["chdir"] = _path(params["chdir"], "chdir")
        request = cls(**values)
        if not request.argv and not request.script:
            raise ValidationError("argv and script are empty: there is nothing to run.", hint="Set one of them.")
        if any("\0" in part for part in request.argv):
            raise ValidationError("argv contains a null character.", hint="No program can be given one.")
        for path in request.write_paths:
            _check_write_path(path)
            if path in request.read_paths:
                raise ValidationError(f"{path} is in read_paths and in write_paths.", hint="Name it in one of them.")
        if request.user is not None:
            _check_user(request.user)
        return request

    def is_done(self) -> str | None:
        """Return why the command need not run, by ``creates`` and ``removes``, or ``None``."""
        if self.creates and glob.glob(os.path.join(self.chdir, self.creates)):
            return f"{self.creates} exists already."
        if self.removes and not glob.glob(os.path.join(self.chdir, self.removes)):
            return f"{self.removes} does not exist."
        return None


def seal(options: Mapping) -> dict:
    """Return the options as they go to the host: what may be secret is in ``_sealed``, and nowhere else.

    Ansible neither logs nor shows that one. With ``no_log`` for the options themselves it would mask every ``1`` of the
    output if a variable had that value.
    """
    secret = {name: options[name] for name in _SECRET if options.get(name) is not None}
    return {**{name: value for name, value in options.items() if name not in secret}, "_sealed": pack(secret)}


def unseal(params: Mapping) -> dict:
    """Return the options that :func:`seal` made ``params`` of.

    :raises ValidationError: they did not come through it.
    """
    if not params["_sealed"]:
        raise ValidationError("sandbox_command needs its action plugin.", hint="Call it as a task, by its full name.")
    return {**params, **unpack(params["_sealed"])}


def _limits(given: Mapping) -> Limits:
    if not given["runtime"] <= _MOST_RUNTIME:
        raise ValidationError("limits.runtime is more than a week.", hint=f"Set at most {_MOST_RUNTIME} seconds.")
    for name, least in (
        ("memory", _LEAST_MEMORY),
        ("tasks", _LEAST_TASKS),
        ("cpu", 1),
        ("runtime", 0.1),
        ("output", 1),
    ):
        if given[name] is not None and not given[name] >= least:
            hint = f"Set at least {least}." if given[name] else f"Set at least {least}, or leave it out."
            raise ValidationError(f"limits.{name}={given[name]} is too little for anything to run.", hint=hint)
    return Limits(**given)


def _environment(given: Mapping) -> dict[str, str]:
    found = {}
    for name, value in given.items():
        if not _NAME.match(str(name)):
            raise ValidationError(f"environment: {name!r} is no name of a variable.", hint="Use letters, digits and _.")
        if not isinstance(value, (str, int, float)) or isinstance(value, bool) or "\0" in str(value):
            raise ValidationError(f"environment.{name} is no text.", hint="Quote it in YAML.")
        found[str(name)] = str(value)
    return found


def _path(path: str, option: str) -> str:
    if not os.path.isabs(path) or os.path.normpath(path) != path or path.startswith("//"):
        hint = "Write it from the root on, without .., doubled slashes and a slash at the end."
        raise ValidationError(f"{option}: {path!r} is no absolute, plain path.", hint=hint)
    if _UNSPEAKABLE.search(path):
        raise ValidationError(
            f"{option}: {path!r} has a character that no sandbox can be told of.",
            hint="Use a path without quotes, backslashes, colons, percent and dollar signs and control characters.",
        )
    if option != "chdir" and (path in _PRIVATE or any(path == own or path.startswith(own + "/") for own in _OURS)):
        hint = "Name a directory below it; of /proc, /dev and /sys it has its own or none."
        raise ValidationError(f"{option}: {path} can't be shared with a sandbox.", hint=hint)
    return path


def _check_user(user: str) -> None:
    try:
        account = pwd.getpwuid(user_id(user))
    except KeyError:
        hint = "Make the account first, or leave user out for an id that nobody has."
        raise NotFoundError(f"user={user}: no account of this host has that id.", hint=hint) from None
    if account.pw_uid == 0:
        raise PermissionDenied("user=root: the sandbox never runs as root.", hint="Name an ordinary user, or none.")


def _check_write_path(path: str) -> None:
    """Refuse what would let a command write more than the option says."""
    if os.path.realpath(path) != path:
        raise ValidationError(
            f"write_paths: {path} leads over a symbolic link to {os.path.realpath(path)}.",
            hint="Name the directory itself, so that nobody can turn the link elsewhere.",
        )
