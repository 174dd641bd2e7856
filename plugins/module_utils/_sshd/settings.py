# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings of the ssh server as people write them, and the drop-in file that holds them."""

from __future__ import annotations

import fnmatch
import os
import re

from .._core.errors import ConflictError, ValidationError

__all__ = ["DROP_IN", "MAIN", "check_include", "keyword_of_line", "render", "set_before"]

MAIN = "/etc/ssh/sshd_config"
DROP_IN = "/etc/ssh/sshd_config.d/00-scripts-toolkit.conf"
"""sshd keeps the first value it reads, and reads these files in the order of their names (sshd_config(5))."""

_HEADER = "# Written by scripts.toolkit.sshd_config; it replaces changes made here.\n"
_KEYWORD = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_COMMAS = {
    "casignaturealgorithms",
    "ciphers",
    "hostbasedacceptedalgorithms",
    "hostkeyalgorithms",
    "kexalgorithms",
    "macs",
    "pubkeyacceptedalgorithms",
}
_SPACES = {"authenticationmethods", "authorizedkeysfile", "ipqos", "loglevel", "persourcepenalties", "rekeylimit"}


def _scalar(keyword: str, value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (str, int)):
        text = str(value).strip()
        if text and text.isprintable() and "#" not in text:
            return text
    raise ValidationError(
        f"settings.{keyword}: {value!r} is not a value that sshd_config can hold.",
        hint="Use a string, a number, true or false, or a list of these.",
    )


def _lines(keyword: str, value: object) -> list[str]:
    if not isinstance(value, (list, tuple)):
        return [f"{keyword} {_scalar(keyword, value)}"]
    if not value:
        raise ValidationError(f"settings.{keyword} is an empty list.", hint="Use null to leave it to the defaults.")
    parts = [_scalar(keyword, part) for part in value]
    if keyword.lower() in _COMMAS:
        return [f"{keyword} {','.join(parts)}"]
    if keyword.lower() in _SPACES:
        return [f"{keyword} {' '.join(parts)}"]
    return [f"{keyword} {part}" for part in parts]


def render(settings: dict) -> str:
    """Return the drop-in's text: a line a setting, sorted; a list gives a line an element, or one joined as sshd
    wants it (commas in lists of algorithms); ``None`` leaves the keyword to the defaults.

    :raises ValidationError: naming the keyword that can't be used.
    """
    lines: list[str] = []
    seen: dict[str, str] = {}
    for key in sorted(settings, key=lambda name: str(name).lower()):
        keyword = str(key)
        if not _KEYWORD.fullmatch(keyword):
            raise ValidationError(f"settings: {keyword!r} is not a keyword.", hint="See man sshd_config.")
        if keyword.lower() in ("match", "include"):
            raise ValidationError(
                f"settings: {keyword} can't be set here, only keywords that hold for everybody.",
                hint="Put it into a file of its own in /etc/ssh/sshd_config.d.",
            )
        if keyword.lower() in seen:
            raise ValidationError(
                f"settings: {seen[keyword.lower()]} and {keyword} are the same keyword.", hint="Remove one of them."
            )
        seen[keyword.lower()] = keyword
        if settings[key] is not None:
            lines.extend(_lines(keyword, settings[key]))
    return _HEADER + "".join(f"{line}\n" for line in lines)


def keyword_of_line(text: str, number: int) -> str | None:
    """Return the keyword in line ``number`` (from 1) of the text, or ``None``."""
    lines = text.splitlines()
    if 1 <= number <= len(lines) and lines[number - 1] and not lines[number - 1].startswith("#"):
        return lines[number - 1].split()[0]
    return None


def _directives(text: str) -> list[tuple[int, str, str]]:
    """Return ``(line number, keyword in lower case, rest)`` of each line that says something."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.strip().replace("=", " ", 1).split(None, 1)
        if words and not words[0].startswith("#"):
            found.append((number, words[0].lower(), words[1] if len(words) > 1 else ""))
    return found


def _includes_drop_in(rest: str) -> bool:
    for pattern in rest.split():
        path = pattern.strip('"')
        if fnmatch.fnmatch(DROP_IN, path if path.startswith("/") else os.path.join(os.path.dirname(MAIN), path)):
            return True
    return False


def check_include(main: str | None) -> None:
    """Check that sshd_config reads our drop-in, for everybody.

    :param main: the text of sshd_config; ``None``: there is none.
    :raises ConflictError: it does not, or only inside a Match block.
    """
    hint = f"Make this the first line of {MAIN}: Include {os.path.dirname(DROP_IN)}/*.conf"
    for number, keyword, rest in _directives(main or ""):
        if keyword == "match":
            raise ConflictError(f"{MAIN} begins a Match block in line {number}, before it includes {DROP_IN}.", hint)
        if keyword == "include" and _includes_drop_in(rest):
            return
    raise ConflictError(f"{MAIN} does not include {DROP_IN}.", hint)


def set_before(keyword: str, files: dict[str, str]) -> str | None:
    """Return ``path:line`` of who sets ``keyword`` before our drop-in does.

    :param files: path and text of sshd_config and of the files beside our drop-in.
    """
    earlier = [path for path in sorted(files) if path not in (MAIN, DROP_IN) and path < DROP_IN]
    for path in [MAIN, *earlier]:
        for number, found, rest in _directives(files.get(path, "")):
            if path == MAIN and (found == "match" or (found == "include" and _includes_drop_in(rest))):
                break
            if found == keyword.lower():
                return f"{path}:{number}"
    return None
