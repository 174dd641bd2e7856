# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lines of authorized_keys: checked, compared, merged into a file that has others.

Format: https://man.openbsd.org/sshd#AUTHORIZED_KEYS_FILE_FORMAT
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass

from .._core.errors import ConflictError, ValidationError

__all__ = ["Key", "merge_keys", "parse_key", "parse_keys"]

_TYPES = (
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
_OPTION = re.compile(r'[A-Za-z0-9-]+(?:="(?:[^"\\]|\\.)*")?')


@dataclass(frozen=True)
class Key:
    """One key. ``options`` and ``comment`` may be empty; two with the same ``identity`` open the same account."""

    options: str
    type: str
    blob: str
    comment: str

    @property
    def identity(self) -> tuple[str, str]:
        return (self.type, self.blob)

    @property
    def line(self) -> str:
        return " ".join(part for part in (self.options, self.type, self.blob, self.comment) if part)


def _split_options(line: str) -> tuple[str, str]:
    """Return the options at the start of ``line``, which end at the first space outside quotes, and the rest."""
    quoted = escaped = False
    for position, character in enumerate(line):
        if escaped:
            escaped = False
        elif character == "\\" and quoted:
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif character in " \t" and not quoted:
            return line[:position], line[position:].strip()
    return line, ""


def _checked_blob(key_type: str, blob: str) -> str:
    try:
        raw = base64.b64decode(blob, validate=True)
    except (binascii.Error, ValueError):
        raise ValidationError(f"The {key_type} key is not whole: its middle part is not base64.") from None
    name = key_type.encode()
    if raw[:4] != len(name).to_bytes(4, "big") or raw[4 : 4 + len(name)] != name or len(raw) < 4 + len(name) + 32:
        raise ValidationError(f"The {key_type} key is not whole: its base64 part is not of that type, or cut off.")
    return blob


def parse_key(line: str) -> Key:
    """Return the :class:`Key` of one line.

    :raises ValidationError: type or base64 part is wrong, or an option is malformed. The message does not repeat the
        line, which might be a private key pasted by mistake.
    """
    text = line.strip()
    if "PRIVATE KEY" in text:
        raise ValidationError("This is a private key.", hint="Give the public one, the file that ends in .pub.")
    if not text.replace("\t", " ").isprintable():
        raise ValidationError("The key has control characters.", hint="Give one line of the .pub file.")
    options, rest = ("", text) if text.split(None, 1)[:1] and text.split(None, 1)[0] in _TYPES else _split_options(text)
    parts = rest.split(None, 2)
    if len(parts) < 2 or parts[0] not in _TYPES:
        found = parts[0] if parts and len(parts[0]) < 50 else "this line"
        raise ValidationError(
            f"{found} is not a type of key that is accepted.",
            hint=f"A line reads TYPE BASE64 COMMENT, with one of {', '.join(_TYPES)}.",
        )
    position = 0
    while options:
        match = _OPTION.match(options, position)
        if not match:
            raise ValidationError(
                "The options before the key are malformed.", hint='Write from="192.0.2.0/24",restrict.'
            )
        position = match.end()
        if position == len(options):
            break
        if options[position] != ",":
            raise ValidationError("The options before the key are malformed.", hint="Commas separate them, no spaces.")
        position += 1
    return Key(options, parts[0], _checked_blob(parts[0], parts[1]), parts[2].strip() if len(parts) > 2 else "")


def parse_keys(texts: Iterable[str], item: str) -> tuple[Key, ...]:
    """Return the keys in ``texts``, each of which may be a line or a whole file with comments; each key once.

    :raises ValidationError: one can't be used; the message says which by its number.
    :raises ConflictError: the same key is there with different options.
    """
    found: dict[tuple[str, str], Key] = {}
    lines = [line for text in texts for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]
    for number, line in enumerate(lines, 1):
        try:
            key = parse_key(line)
        except ValidationError as error:
            message = f"users.authorized_keys, key {number}: {error.message}"
            raise ValidationError(message, hint=error.hint, item=item) from None
        if found.setdefault(key.identity, key).options != key.options:
            raise ConflictError(
                f"users.authorized_keys, key {number} is there twice with different options.",
                hint="Keep one.",
                item=item,
            )
    return tuple(found.values())


def merge_keys(text: str, wanted: Iterable[Key], exclusive: bool) -> str:
    """Return the new text of an authorized_keys file.

    Lines that are not about a wanted key, comments and lines that sshd would not understand included, stay where they
    are, unless ``exclusive``; then only the wanted keys stay. A wanted key that is there with other options or another
    comment is replaced in its place; its duplicates go, so that no older line grants what the options deny.
    """
    missing = {key.identity: key for key in wanted}
    seen = set()
    lines = []
    for line in text.removesuffix("\n").split("\n") if text else []:
        try:
            identity = parse_key(line).identity if line.strip() and not line.lstrip().startswith("#") else None
        except ValidationError:
            identity = None
        if identity in seen:
            continue
        if identity in missing:
            lines.append(missing.pop(identity).line)
            seen.add(identity)
        elif not exclusive:
            lines.append(line)
    lines += [key.line for key in missing.values()]
    return "".join(f"{line}\n" for line in lines)
