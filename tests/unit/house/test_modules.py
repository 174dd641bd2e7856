# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module contract, as far as reading the module shows it. (ansible-test compares spec and documentation.)"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from house import MODULES, NAMESPACE, ROOT, actions, tasks, tree

_DOCUMENTATION = ("DOCUMENTATION", "EXAMPLES", "RETURN")
_MOST_CODE = 150
_MOST_PAYLOAD = 100_000
each_module = pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)


def documentation(module: Path) -> dict[str, str]:
    """Return the three documentation strings of a module."""
    found = {}
    for node in tree(module).body:
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and node.targets[0].id in _DOCUMENTATION
        ):
            found[node.targets[0].id] = ast.literal_eval(node.value)
    return found


def code_lines(module: Path) -> int:
    """Return how many lines hold code: no documentation, docstrings, comments or empty lines."""
    text = module.read_text(encoding="utf-8")
    strings = set()
    for node in ast.walk(tree(module)):
        alone = (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        )
        documents = isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in _DOCUMENTATION
        if alone or documents:
            strings.update(range(node.lineno, node.end_lineno + 1))
    lines = enumerate(text.splitlines(), 1)
    return sum(
        1 for number, line in lines if number not in strings and line.strip() and not line.strip().startswith("#")
    )


@each_module
def test_it_is_thin(module: Path) -> None:
    assert code_lines(module) <= _MOST_CODE


@each_module
def test_it_states_its_attributes(module: Path) -> None:
    shown = yaml.safe_load(documentation(module)["DOCUMENTATION"])
    fragments = shown["extends_documentation_fragment"]
    fragments = [fragments] if isinstance(fragments, str) else fragments
    assert {f"{NAMESPACE}attributes", f"{NAMESPACE}attributes.info"} & set(fragments)
    assert shown["module"] == module.stem
    assert not module.stem.endswith("_info") or f"{NAMESPACE}attributes.info" in fragments
    assert "query" not in (shown["options"].get("state") or {}).get("choices", [])


@each_module
def test_its_examples_are_tasks_with_names_and_full_names(module: Path) -> None:
    examples = yaml.safe_load(documentation(module)["EXAMPLES"])
    shown = list(tasks(examples)) + [task for play in examples for task in tasks(play.get("tasks"))]
    assert any(f"{NAMESPACE}{module.stem}" in task for task in shown)
    for task in shown:
        assert task.get("name")
        (action,) = actions(task)
        assert action.startswith((NAMESPACE, "ansible.builtin.")), action


@each_module
def test_its_failures_carry_the_error(module: Path) -> None:
    """It ends through run_module, which adds `error`; a module that documents an action has no main of its own."""
    text = module.read_text(encoding="utf-8")
    assert "run_module(" in text or (ROOT / "plugins" / "action" / module.name).exists()
    assert "fail_json(" not in text
    assert "exit_json(" not in text


@pytest.fixture(scope="module")
def payloads() -> dict[str, dict[str, int]]:
    names = [f"{NAMESPACE}{path.stem}" for path in MODULES if "run_module(" in path.read_text(encoding="utf-8")]
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT.parents[2])}
    argv = [sys.executable, str(Path(__file__).with_name("payload.py")), *names]
    return json.loads(subprocess.run(argv, capture_output=True, text=True, check=True, env=environment).stdout)


def test_what_modules_send_to_a_host_is_small(payloads: dict[str, dict[str, int]]) -> None:
    """Our part of the payload; ansible-core's own differs from release to release."""
    assert payloads
    for name, files in payloads.items():
        ours = {path: size for path, size in files.items() if path.startswith("ansible_collections/scripts/")}
        assert f"ansible_collections/scripts/toolkit/plugins/modules/{name[len(NAMESPACE) :]}.py" in ours
        assert sum(ours.values()) < _MOST_PAYLOAD, f"{name}: {ours}"


@each_module
def test_it_has_a_scenario(module: Path) -> None:
    assert (ROOT / "extensions" / "molecule" / module.stem / "converge.yml").is_file()
    assert (ROOT / "extensions" / "molecule" / module.stem / "molecule.yml").is_file()
