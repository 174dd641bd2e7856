# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Command lines of ``toolkit`` in README.md, docs and the roles' READMEs are ones that the command takes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import pytest
from house import ROLES, ROOT, name_of

from ansible_collections.scripts.toolkit import cli

_DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(role / "README.md" for role in ROLES)])
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINE = re.compile(r"^[$#] (toolkit .*)$", re.MULTILINE)
_AFTER = re.compile(r"\s[|>].*")


def command_lines() -> Iterator[tuple[str, list[str]]]:
    """Yield ``(id, words)`` of each line that calls the command, without redirections, pipes and comments."""
    for document in _DOCUMENTS:
        for block in _BLOCK.findall(document.read_text(encoding="utf-8")):
            for line in _LINE.findall(block):
                words = shlex.split(line if "'" in line else _AFTER.sub("", line), comments=True)
                words = words[: next((n for n, word in enumerate(words) if word[:1] in "|>"), len(words))]
                yield f"{name_of(document)}: {line}", words[1:]


_LINES = dict(command_lines())


def test_the_pages_on_the_audit_trail_show_commands() -> None:
    shown = {words[1] for words in _LINES.values() if words[:1] == ["audit"]}
    assert {"search", "show", "tail", "report", "diff", "profile", "verify", "prove", "check-proof"} <= shown
    assert {"export", "import", "prune", "erase", "key", "witness", "deliver"} <= shown


@pytest.mark.parametrize("line", _LINES)
def test_the_command_takes_it(line: str) -> None:
    words = _LINES[line]
    options = cli._parser(words).parse_args(words)
    assert hasattr(options, "run") or hasattr(options, "parser")
