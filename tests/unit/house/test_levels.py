# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The level rule: a role or playbook uses only lower levels, by full name, and no foreign collection."""

from __future__ import annotations

from pathlib import Path

import pytest
from house import MODULES, NAMESPACE, PLAYBOOKS, ROLES, ROOT, actions, load, name_of, role_task_files, tasks

LEVELS = load(ROOT / "meta" / "levels.yml")
_INCLUDES = ("ansible.builtin.include_role", "ansible.builtin.import_role")
_PLANS = f"{NAMESPACE}role_plans"
_ACTIONS = {f"{NAMESPACE}{path.stem}" for path in [*MODULES, *(ROOT / "plugins" / "action").glob("[!_]*.py")]}


def roles_used(path: Path) -> list[str]:
    """Return the names of the roles that a playbook or task file uses."""
    content = load(path) or []
    names = [task[key]["name"] for task in tasks(content) for key in _INCLUDES if key in task]
    names += [role["name"] for task in tasks(content) if _PLANS in task for role in task[_PLANS]["roles"]]
    for play in content if path in PLAYBOOKS else []:
        names += [role if isinstance(role, str) else role["role"] for role in play.get("roles", [])]
    return names


def test_every_role_and_playbook_has_a_level() -> None:
    assert sorted(LEVELS["roles"]) == [path.name for path in ROLES]
    assert sorted(LEVELS["playbooks"]) == [path.stem for path in PLAYBOOKS]
    assert all(level in (0, 1, 2) for level in LEVELS["roles"].values())
    assert set(LEVELS["playbooks"].values()) <= {3}


@pytest.mark.parametrize("role", ROLES, ids=lambda path: path.name)
def test_a_role_uses_lower_levels_only(role: Path) -> None:
    level = LEVELS["roles"][role.name]
    used = [name for path in role_task_files(role) for name in roles_used(path)]
    used += [
        entry if isinstance(entry, str) else entry["role"] for entry in load(role / "meta/main.yml")["dependencies"]
    ]
    for name in used:
        assert name.startswith(NAMESPACE), f"{role.name} uses {name}; write {NAMESPACE}{name}"
        assert LEVELS["roles"][name[len(NAMESPACE) :]] < level, f"{role.name} (level {level}) uses {name}"


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda path: path.stem)
def test_a_playbook_uses_roles_by_their_full_names(playbook: Path) -> None:
    used = roles_used(playbook)
    assert used, "a playbook of level 3 orchestrates roles"
    assert {name[len(NAMESPACE) :] for name in used if name.startswith(NAMESPACE)} <= set(LEVELS["roles"])
    assert not [name for name in used if not name.startswith(NAMESPACE)]
    imported = [
        play for play in load(playbook) if "import_playbook" in play or "ansible.builtin.import_playbook" in play
    ]
    assert not imported, "playbooks are all of level 3, so none may use another"


@pytest.mark.parametrize("path", [*PLAYBOOKS, *(path for role in ROLES for path in role_task_files(role))], ids=name_of)
def test_tasks_use_our_modules_and_the_builtin_ones_only(path: Path) -> None:
    for task in tasks(load(path)):
        (action,) = actions(task)
        assert action in _ACTIONS or action.startswith("ansible.builtin."), f"{task.get('name')}: {action}"
        assert task.get("name"), f"a task with {action} has no name"


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_an_atomic_does_not_depend_on_another(module: Path) -> None:
    others = [path.stem for path in MODULES if path != module]
    text = module.read_text(encoding="utf-8")
    assert "execute_module" not in text
    assert not [name for name in others if f"plugins.modules.{name}" in text]
