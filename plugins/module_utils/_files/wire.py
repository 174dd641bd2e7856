# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the two halves of ``file_tree`` say to each other: compressed JSON in one string, and file contents.

The controller's half knows what is wanted, the host's half what is there. A request or an answer is one base64 string
of zlib-compressed JSON, so that hundreds of files fit into one module argument and no content shows in plain text.
"""

from __future__ import annotations

import base64
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, BinaryIO

from .._core.errors import IntegrityError

__all__ = ["Contents", "SetPlan", "Wanted", "pack", "pack_content", "unpack"]


def pack(value: Any) -> str:
    """Return ``value`` (what JSON can hold) as one ASCII string."""
    return base64.b64encode(zlib.compress(json.dumps(value, separators=(",", ":")).encode("ascii"), 6)).decode("ascii")


def unpack(text: str) -> Any:
    """Return the value that :func:`pack` made ``text`` of.

    :raises IntegrityError: it is not such a string.
    """
    try:
        return json.loads(zlib.decompress(base64.b64decode(text, validate=True)).decode("ascii"))
    except (ValueError, zlib.error) as error:
        raise IntegrityError(f"The message between the controller and the host is damaged: {error}") from None


def pack_content(data: bytes) -> str | list[str]:
    """Return ``data`` as JSON can hold it: a string, or a list of one base64 string where it is not UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return [base64.b64encode(data).decode("ascii")]


class Contents:
    """The bytes that the controller sent, by their SHA-256 in hex.

    :param inline: contents from the request (see :func:`pack_content`).
    :param archive: path of a zip file on the host whose members are named by their SHA-256; for big contents.
    """

    def __init__(self, inline: Mapping[str, str | list[str]] | None = None, archive: str | None = None) -> None:
        self._inline = inline or {}
        self._archive = zipfile.ZipFile(archive) if archive else None
        self._names = frozenset(self._archive.namelist()) if self._archive else frozenset()

    def __contains__(self, checksum: object) -> bool:
        return checksum in self._inline or checksum in self._names

    def open(self, checksum: str) -> BinaryIO:
        """Return a readable stream of the bytes with this SHA-256.

        :raises IntegrityError: they were not sent.
        """
        if checksum in self._inline:
            value = self._inline[checksum]
            return io.BytesIO(value.encode("utf-8") if isinstance(value, str) else base64.b64decode(value[0]))
        if self._archive is not None and checksum in self._names:
            return self._archive.open(checksum)  # type: ignore[return-value]
        raise IntegrityError(f"The content with SHA-256 {checksum} was not sent.")


class _Message:
    """A dataclass that travels as a dict without its default values, so that 300 files stay a few kilobytes."""

    def as_dict(self) -> dict:
        first = next(iter(fields(self))).name  # type: ignore[arg-type]
        plain = type(self)(**{first: getattr(self, first)})
        return {
            item.name: getattr(self, item.name)
            for item in fields(self)  # type: ignore[arg-type]
            if item.name == first or getattr(self, item.name) != getattr(plain, item.name)
        }


@dataclass
class Wanted(_Message):
    """What shall be at ``dest``: as the host's half needs to know it. Contents travel apart, by ``checksum``.

    ``state`` is ``file``, ``directory``, ``link`` or ``absent``; ``mode`` permission bits or ``None`` (keep, or the
    default for something new); ``owner``/``group`` names or numbers as text, or ``None``; ``notify`` maps full unit
    names to ``reload`` or ``restart``; ``origin`` says where the wish comes from, for messages.
    """

    dest: str
    state: str = "file"
    checksum: str | None = None
    size: int = 0
    target: str | None = None
    mode: int | None = None
    owner: str | None = None
    group: str | None = None
    force: bool = True
    recursive: bool = False
    validate: list[str] = field(default_factory=list)
    set: str | None = None
    sensitive: bool = False
    notify: dict[str, str] = field(default_factory=dict)

    @property
    def default_mode(self) -> int:
        """Permission bits of a new file or directory for which no mode is asked."""
        if self.state == "directory":
            return 0o755
        return 0o600 if self.sensitive else 0o644


@dataclass
class SetPlan(_Message):
    """A group of files that changes as a whole: its validator (argument list, empty for none), the units to notify
    and the directories or globs below which unmanaged files are removed."""

    name: str
    validate: list[str] = field(default_factory=list)
    notify: dict[str, str] = field(default_factory=dict)
    purge: list[str] = field(default_factory=list)
