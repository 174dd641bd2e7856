# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every role brings: a typed interface, safe defaults, a README, and a scenario that proves it."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
from house import MODULES, PLAYBOOKS, ROLES, ROOT, load

_SPEC = importlib.util.spec_from_file_location("role_readmes", ROOT / "tools" / "role_readmes.py")
role_readmes = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(role_readmes)
_LEVELS = load(ROOT / "meta" / "levels.yml")["roles"]
each_role = pytest.mark.parametrize("role", ROLES, ids=lambda path: path.name)


@each_role
def test_its_interface_is_typed_and_its_defaults_are_the_documented_ones(role: Path) -> None:
    options = load(role / "meta" / "argument_specs.yml")["argument_specs"]["main"]["options"]
    defaults = load(role / "defaults" / "main.yml") or {}
    assert set(defaults) <= set(options)
    for name, option in options.items():
        assert name.startswith(f"{role.name}_"), name
        assert option["type"], name
        assert option["description"], name
        # Ansible's role argument specs fill in nothing: what is documented as the default must be in defaults. What is
        # computed from other variables can't be documented as a value.
        computed = "{{" in str(defaults.get(name))
        assert computed or option.get("default") == defaults.get(name), name
        assert not (option.get("required") and name in defaults), name


@each_role
def test_it_has_a_readme_with_a_current_table_of_variables(role: Path) -> None:
    readme = (role / "README.md").read_text(encoding="utf-8")
    assert f"scripts.toolkit.{role.name}" in readme
    assert readme == role_readmes.current(role), "run: .venv/bin/python tools/role_readmes.py"


@each_role
def test_it_plans_without_a_remote_call_and_has_a_scenario(role: Path) -> None:
    if _LEVELS[role.name] == 0:
        return
    assert (role / "tasks" / "plan.yml").is_file()
    assert (ROOT / "extensions" / "molecule" / f"role_{role.name}" / "converge.yml").is_file()


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda path: path.stem)
def test_the_readme_shows_every_playbook(playbook: Path) -> None:
    assert f"scripts.toolkit.{playbook.stem}" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_lists_every_module_and_role() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert not [path.stem for path in MODULES if f"| `{path.stem}` |" not in readme]
    assert not [role.name for role in ROLES if f"(roles/{role.name}/README.md)" not in readme]


def test_links_between_documents_lead_somewhere() -> None:
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(role / "README.md" for role in ROLES)]
    for document in documents:
        for target in re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"
    listed = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    assert not [page.name for page in (ROOT / "docs").glob("[!R]*.md") if page.name not in listed]
