# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What holds for every source file."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from house import ROOT, SOURCES, imports, name_of, tree

from ansible_collections.scripts.toolkit.plugins.module_utils._core import errors

_MOST_LINES = 450
_HEADER = [
    "# Copyright (c) 2026, scripts.toolkit contributors",
    "# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)",
    "# SPDX-License-Identifier: GPL-3.0-or-later",
]
_ON_TARGETS = [path for path in SOURCES if name_of(path).startswith(("plugins/modules/", "plugins/module_utils/"))]
_PRIVATE = [
    path
    for path in SOURCES
    if re.match(r"plugins/(module|plugin)_utils/_", name_of(path)) and path.name != "__init__.py"
]


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_it_can_be_read_in_one_go(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= _MOST_LINES
    if lines:
        assert [line for line in lines if line and not line.startswith("#!")][:3] == _HEADER
        assert "from __future__ import annotations" in lines


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_it_uses_no_interface_that_ansible_drops(path: Path) -> None:
    dropped = (
        "ansible.module_utils._text",
        "ansible.module_utils.six",
        "ansible.module_utils.common._collections_compat",
    )
    assert not [name for name in imports(path) if name.startswith((*dropped, "six"))]


@pytest.mark.parametrize("path", _ON_TARGETS, ids=name_of)
def test_code_for_targets_starts_no_processes_by_itself_and_prints_nothing(path: Path) -> None:
    assert not {"subprocess", "multiprocessing", "pty"} & {name.split(".")[0] for name in imports(path)}
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in ("print", "sys.exit", "os.system", "os.popen", "exit", "quit")
            assert not called.startswith(("os.spawn", "os.posix_spawn"))


@pytest.mark.parametrize("path", _PRIVATE, ids=name_of)
def test_private_utilities_say_what_they_offer(path: Path) -> None:
    assigned = [node for node in tree(path).body if isinstance(node, ast.Assign)]
    offered = [ast.literal_eval(node.value) for node in assigned if getattr(node.targets[0], "id", "") == "__all__"]
    assert len(offered) == 1
    walked = list(ast.walk(tree(path)))
    defined = {node.name for node in walked if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))}
    defined |= {node.id for node in walked if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    defined |= {
        alias.asname or alias.name for node in walked if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert set(offered[0]) <= defined


def test_what_the_controller_alone_uses_is_not_imported_on_targets() -> None:
    for path in _ON_TARGETS:
        assert not [name for name in imports(path) if "plugin_utils" in name], name_of(path)


def test_error_kinds_are_the_ten_that_are_documented() -> None:
    def family(kind: type) -> set[type]:
        return {kind}.union(*(family(sub) for sub in kind.__subclasses__()))

    assert {kind.kind for kind in family(errors.ToolkitError)} == set(errors.ERROR_KINDS)
    for path in SOURCES:
        if not name_of(path).startswith(("plugins/", "cli/")):
            continue
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ClassDef) and any(ast.unparse(base).endswith("Error") for base in node.bases):
                kinds = [
                    part.value for part in node.body if isinstance(part, ast.Assign) and part.targets[0].id == "kind"
                ]
                assert {ast.literal_eval(kind) for kind in kinds} <= set(errors.ERROR_KINDS), name_of(path)


def test_nothing_is_ignored_or_skipped() -> None:
    assert not list((ROOT / "tests").rglob("ignore-*.txt"))
    lint = (ROOT / ".ansible-lint").read_text(encoding="utf-8")
    assert "skip_list" not in lint
    assert "warn_list" not in lint
    for top in ("roles", "playbooks", "extensions"):
        noted = [name_of(path) for path in (ROOT / top).rglob("*.yml") if "noqa" in path.read_text(encoding="utf-8")]
        assert not noted
    skips = re.compile(r"mark\.(skip|xfail)|pytest\.(skip|xfail|importorskip)\(")
    for path in (ROOT / "tests").rglob("*.py"):
        assert path == Path(__file__) or not skips.search(path.read_text(encoding="utf-8")), name_of(path)
