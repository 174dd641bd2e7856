# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""YAML in README.md, docs and the roles' READMEs names only what exists: modules, roles, variables, options."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import yaml
from house import MODULES, NAMESPACE, PLAYBOOKS, ROLES, ROOT, load, name_of, tasks
from test_modules import documentation

_DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(role / "README.md" for role in ROLES)])
_BLOCK = re.compile(r"^```ya?ml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INCLUDES = ("ansible.builtin.include_role", "ansible.builtin.import_role")
_VARIABLE = re.compile(rf"^({'|'.join(sorted((role.name for role in ROLES), key=len, reverse=True))})_")
_PLAYBOOK_VARIABLES = {"provision_hosts", "provision_result_directory"}


def blocks() -> Iterator[tuple[str, object]]:
    """Yield ``(id, content)`` of every YAML block; one that does not parse fails here, with its place."""
    for document in _DOCUMENTS:
        for number, text in enumerate(_BLOCK.findall(document.read_text(encoding="utf-8")), 1):
            yield f"{name_of(document)}#{number}", yaml.safe_load(text)


def role_options() -> dict[str, dict]:
    """Return ``{variable: specification}`` of all roles."""
    found: dict[str, dict] = {}
    for role in ROLES:
        found.update(load(role / "meta" / "argument_specs.yml")["argument_specs"]["main"]["options"])
    return found


_BLOCKS = dict(blocks())
_ROLE_OPTIONS = role_options()
_MODULE_OPTIONS = {path.stem: yaml.safe_load(documentation(path)["DOCUMENTATION"])["options"] for path in MODULES}
each_block = pytest.mark.parametrize("place", _BLOCKS)


def nodes(content: object) -> Iterator[dict]:
    """Yield every mapping in parsed YAML."""
    if isinstance(content, dict):
        yield content
    for child in content.values() if isinstance(content, dict) else content if isinstance(content, list) else []:
        yield from nodes(child)


def unknown_options(given: object, options: dict, where: str) -> Iterator[str]:
    """Yield what is wrong in ``given`` by the ``options`` of a module or a role: unknown, missing, no such choice."""
    for entry in given if isinstance(given, list) else [given]:
        if not isinstance(entry, dict):
            continue
        for name, value in entry.items():
            option = options.get(name)
            if option is None:
                yield f"{where}{name}"
                continue
            inside = option.get("suboptions") or option.get("options") or deviations(option)
            if inside:
                yield from unknown_options(value, inside, f"{where}{name}.")
            choices = option.get("choices")
            if choices and not isinstance(value, (list, dict)) and "{{" not in str(value) and value not in choices:
                yield f"{where}{name}={value}"
        required = {name for name, option in options.items() if option.get("required")}
        yield from (f"{where}{name} is missing" for name in sorted(required - set(entry)))


def deviations(option: dict) -> dict:
    """Return the options of the role variable that an option refers to with "Options of C(...)"; none is required."""
    referred = re.match(r"Options of C\((\w+)\)", str(option["description"]))
    options = _ROLE_OPTIONS[referred[1]]["options"] if referred else {}
    return {name: {**option, "required": False} for name, option in options.items()}


def linked_options(option: dict) -> dict:
    """Return the suboptions of the module option to which a role's variable refers, or those of its own."""
    if option.get("options"):
        return option["options"]
    link = rf"O\({re.escape(NAMESPACE)}(\w+)#module:(\w+)\)"
    modules = set(re.findall(link, str(option["description"])))
    found: dict = {}
    for module, name in modules:
        for suboption, specification in (_MODULE_OPTIONS[module][name].get("suboptions") or {}).items():
            found.setdefault(suboption, {**specification, "choices": None} if len(modules) > 1 else specification)
    return found


def test_there_are_examples_everywhere() -> None:
    for document in ("README.md", "docs/web-server.md", *(f"roles/{role.name}/README.md" for role in ROLES)):
        assert f"{document}#1" in _BLOCKS, document


@each_block
def test_its_names_exist(place: str) -> None:
    text = yaml.safe_dump(_BLOCKS[place])
    known = {path.stem for path in [*MODULES, *ROLES, *PLAYBOOKS, *(ROOT / "plugins" / "callback").glob("*.py")]}
    known |= {path.stem for path in (ROOT / "plugins" / "filter").glob("*.py")}
    assert not [name for name in re.findall(rf"(?<![\w/.]){re.escape(NAMESPACE)}(\w+)", text) if name not in known]


@each_block
def test_its_tasks_have_names_and_their_options_exist(place: str) -> None:
    content = _BLOCKS[place]
    plays = [entry for entry in content if "hosts" in entry] if isinstance(content, list) else []
    shown = [*tasks(content), *(task for play in plays for task in tasks(play["tasks"]))]
    wrong = [str(entry) for entry in [*plays, *shown] if not entry.get("name")]
    for task in shown:
        for module, options in _MODULE_OPTIONS.items():
            if isinstance(task.get(NAMESPACE + module), dict):
                wrong += unknown_options(task[NAMESPACE + module], options, f"{module}: ")
        for include in _INCLUDES:
            role = str(task.get(include, {}).get("name", ""))
            if role.startswith(NAMESPACE):
                path = ROOT / "roles" / role[len(NAMESPACE) :]
                entry = task[include].get("tasks_from", "main")
                wrong += [] if (path / "tasks" / f"{entry}.yml").is_file() else [f"{role}: {entry}"]
                foreign = set(task.get("vars", {})) - set(_ROLE_OPTIONS)
                wrong += [f"{role}: {name}" for name in sorted(foreign)]
    assert not wrong


@each_block
def test_its_role_variables_exist(place: str) -> None:
    """In inventories, variable files and `vars`: a key that begins like a role's variables is one, and well filled."""
    wrong = []
    for node in nodes(_BLOCKS[place]):
        for name, value in node.items():
            if name in _ROLE_OPTIONS:
                options = linked_options(_ROLE_OPTIONS[name])
                wrong += unknown_options(value, options, f"{name}.") if options else []
                choices = _ROLE_OPTIONS[name].get("choices")
                wrong += [f"{name}={value}"] if choices and value not in choices else []
            elif str(name).startswith("provision_"):
                wrong += [] if name in _PLAYBOOK_VARIABLES else [name]
            elif _VARIABLE.match(str(name)) and not str(name).endswith("_plan"):
                wrong += [name]
    assert not wrong
