# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Recorded text made harmless for where it is shown.

Whatever a managed host, a file name or a message put into the trail is hostile: it may hold escape sequences for the
terminal, markup, or a formula for a spreadsheet. Every text on its way out passes one of these functions.
"""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

__all__ = [
    "clean",
    "csv_row",
    "json_text",
    "line_of",
    "markdown",
    "markdown_table",
    "seconds_of",
    "shorten",
    "table",
    "what",
    "width_of",
]

_KEPT = " "
_HIDDEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"))
_MARKDOWN = frozenset("\\`*_{}[]()#+-.!|~^=:@/$\"'")
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def _escape(character: str) -> str:
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def clean(value: object) -> str:
    """Return a value as one line of text: control characters, line ends, unusual blanks, and characters that reorder or
    hide others become visible escapes such as ``\\x1b``; a backslash stays what it is."""
    text = value if isinstance(value, str) else _plain(value)
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character
        if character == _KEPT or unicodedata.category(character) not in _HIDDEN
        else {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character) or _escape(character)
        for character in text
    )


def _plain(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return str(value)


def width_of(text: str) -> int:
    """Return how many columns of a terminal cleaned text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def shorten(text: str, columns: int) -> str:
    """Return cleaned text cut to that many columns, with ``...`` where something was cut."""
    if columns <= 0 or width_of(text) <= columns:
        return text
    room, kept = max(columns - 3, 0), ""
    for character in text:
        if width_of(kept + character) > room:
            break
        kept += character
    return kept + "..."[: max(columns, 0)]


def line_of(cells: Sequence[object], widths: Sequence[int], columns: int = 0) -> str:
    """Return one line of a table: cells cleaned and padded to ``widths``; the last is cut at ``columns`` (0: not)."""
    texts = [clean(cell) for cell in cells]
    padded = [text + " " * (width - width_of(text)) for text, width in zip(texts[:-1], widths)]
    return shorten("  ".join([*padded, texts[-1]]), columns).rstrip()


def table(header: Sequence[str], rows: Iterable[Sequence[object]], columns: int = 0) -> str:
    """Return aligned columns under ``header``, every cell cleaned, lines cut at ``columns`` (0: not)."""
    lines = [[clean(cell) for cell in line] for line in (header, *rows)]
    widths = [max(width_of(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(line_of(line, widths, columns) for line in lines)


def markdown(value: object) -> str:
    """Return a value as one line of Markdown that shows its text and nothing else: no markup, HTML, link or table."""
    return "".join(
        _HTML.get(character) or ("\\" + character if character in _MARKDOWN else character)
        for character in clean(value)
    )


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table of GitHub's Markdown."""
    lines = [f"| {' | '.join(header)} |", f"|{'|'.join(' --- ' for _name in header)}|"]
    lines += [f"| {' | '.join(markdown(cell) for cell in row)} |" for row in rows]
    return "\n".join(lines)


def csv_row(cells: Iterable[object]) -> str:
    """Return a line of CSV (RFC 4180) without its end. Text that a spreadsheet would take for a formula gets an
    apostrophe in front, as OWASP recommends (https://owasp.org/www-community/attacks/CSV_Injection)."""
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow([_csv_cell(cell) for cell in cells])
    return out.getvalue()


def _csv_cell(cell: object) -> object:
    if isinstance(cell, (int, float)) and not isinstance(cell, bool):
        return cell
    text = clean(cell)
    return "'" + text if text.lstrip(" '\"").startswith(_FORMULA) else text


def json_text(data: object, indent: int | None = None) -> str:
    """Return JSON in ASCII with sorted keys; control characters are escaped, also the one that JSON allows (DEL)."""
    separators = (",", ":") if indent is None else None
    return json.dumps(data, sort_keys=True, indent=indent, separators=separators).replace("\x7f", "\\u007f")


def what(entry: Mapping) -> str:
    """Return in a few words what an entry tells; not cleaned."""
    details = entry.get("details")
    if not isinstance(details, Mapping):
        return _plain(details)
    event = entry.get("event_type")
    if event == "EXECUTION_START":
        return _plain(entry.get("command_line"))
    if event in ("EXECUTION_END", "INTERRUPTED"):
        totals = details.get("totals")
        told = [f"{_plain(count)} {name}" for name, count in totals.items()] if isinstance(totals, Mapping) else []
        return ", ".join([seconds_of(details), *told]).strip(", ")
    if event == "PLAY_START":
        return f"{_plain(details.get('name'))} on {_plain(details.get('hosts'))}"
    if event == "FILE_MODIFICATION":
        return f"{_plain(details.get('operation'))} {_plain(details.get('path'))}"
    if event == "SENSITIVE_ACCESS":
        subject = details.get("path") or details.get("become_user") or ""
        told = f"{_plain(details.get('access'))} {_plain(details.get('reason'))} {_plain(subject)}".rstrip()
        return f"{told}: {_plain(details.get('task'))}"
    if "task" in details:
        parts = [_plain(details["task"])]
        if details.get("item") is not None:
            parts.append(f"({_plain(details['item'])})")
        subject = details.get("msg") or details.get("path")
        return " ".join(parts) + (f": {_plain(subject)}" if subject else "")
    return _plain({key: value for key, value in details.items() if key != "source"})


def seconds_of(details: Mapping) -> str:
    """Return the duration of something in seconds, or an empty string."""
    milliseconds = details.get("duration_ms")
    return f"{milliseconds / 1000:.1f} s" if isinstance(milliseconds, int) else ""
