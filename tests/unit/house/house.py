# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the house rules look at: the collection's files, parsed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import yaml
from ansible.playbook.block import Block
from ansible.playbook.play import Play
from ansible.playbook.task import Task

ROOT = Path(__file__).resolve().parents[3]
NAMESPACE = "scripts.toolkit."
MODULES = sorted((ROOT / "plugins" / "modules").glob("[!_]*.py"))
ROLES = sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir())
PLAYBOOKS = sorted((ROOT / "playbooks").glob("*.yml"))
_SOURCES = ("plugins", "cli", "tests/unit", "tests/integration", "tests/benchmarks", "tools")
SOURCES = sorted([*(path for top in _SOURCES for path in (ROOT / top).rglob("*.py")), *ROOT.glob("*.py")])
_BLOCKS = ("block", "rescue", "always", "tasks", "pre_tasks", "post_tasks", "handlers")
_KEYWORDS = {*Task.fattributes, *Block.fattributes, *Play.fattributes, "local_action"} | set(_BLOCKS)


def name_of(path: Path) -> str:
    """Return the path relative to the collection, for test ids and messages."""
    return path.relative_to(ROOT).as_posix()


def load(path: Path) -> object:
    """Return the content of a YAML file."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def tree(path: Path) -> ast.Module:
    """Return the syntax tree of a Python file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(path: Path) -> Iterator[str]:
    """Yield the full names of what a Python file imports; relative ones start with their dots."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def tasks(content: object) -> Iterator[dict]:
    """Yield every task in a parsed playbook or task file, however deep in blocks."""
    for entry in content if isinstance(content, list) else []:
        if not isinstance(entry, dict):
            continue
        if any(key in entry for key in _BLOCKS):
            for key in _BLOCKS:
                yield from tasks(entry.get(key))
        elif "hosts" not in entry:
            yield entry


def actions(task: dict) -> list[str]:
    """Return the actions that a task names: one in a right task."""
    return [key for key in task if key not in _KEYWORDS and not key.startswith("with_")]


def role_task_files(role: Path) -> list[Path]:
    """Return the task and handler files of a role."""
    return sorted(path for part in ("tasks", "handlers") for path in (role / part).rglob("*.yml"))
