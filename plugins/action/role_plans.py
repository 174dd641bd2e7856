# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole of ``role_plans``: what ``import_role`` with ``tasks_from: plan`` does, for several roles in one task."""

from __future__ import annotations

from ansible.errors import AnsibleError
from ansible.playbook.play import Play
from ansible.playbook.role import Role
from ansible.playbook.role.include import RoleInclude
from ansible.playbook.task import Task
from ansible.plugins.action import ActionBase

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ToolkitError, ValidationError

ARGUMENT_SPEC = {
    "roles": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "vars": {"type": "dict", "default": {}},
            "when": {"type": "bool", "default": True},
        },
    },
    "plans": {"type": "list", "elements": "dict", "default": []},
}

_SET_FACT = ("set_fact", "ansible.builtin.set_fact", "ansible.legacy.set_fact")
_CHECKS = ("assert", "ansible.builtin.assert", "ansible.legacy.assert", "ansible.builtin.validate_argument_spec")
_AS_THEY_ARE = ("that", "argument_spec")
"""Options that their actions evaluate themselves."""
_NOT_HERE = ("when", "loop", "loop_with", "delegate_to", "register", "until")


class _Refused(Exception):
    """A check of a role does not hold; carries the failing result."""

    def __init__(self, result: dict) -> None:
        super().__init__(result.get("msg", ""))
        self.result = result


class ActionModule(ActionBase):
    """Validates the arguments of roles and evaluates their plans; makes no remote call."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_async = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        del tmp
        _validation, options = self.validate_argument_spec(argument_spec=ARGUMENT_SPEC)
        result["changed"] = False
        self._facts: dict = {}
        plans = []
        try:
            for wish in options["roles"]:
                if wish["when"]:
                    plans.append(self._plan(wish["name"], wish["vars"], task_vars or {}))
        except _Refused as refused:
            result.update(refused.result)
        except ToolkitError as error:
            result.update(error.as_result())
        else:
            # Plans have passwords in them. A failure has none, so it is shown.
            result.update(failed=False, plans=plans + options["plans"], facts=self._facts, _ansible_no_log=True)
        return result

    def _plan(self, name: str, given: dict, task_vars: dict) -> dict:
        """Return the plan of a role: the fact ``ROLE_plan`` that its ``tasks/plan.yml`` sets.

        :raises _Refused: an argument is wrong, or a check does not hold.
        :raises ToolkitError: there is no such role, or its plan does more than these tasks can.
        """
        role = self._role(name)
        place = {"role_path": role.get_role_path(), "role_name": role.get_name(include_role_fqcn=False)}
        variables = {**role.get_default_vars(), **task_vars, **role.get_vars(include_params=False), **given, **place}
        for block in role.get_task_blocks():
            for task in block.block:
                facts = self._do(name, task, {**variables, **self._facts, **task.get_vars()})
                self._facts.update(facts)
        fact = f"{place['role_name']}_plan"
        if fact not in self._facts:
            raise ValidationError(f"tasks/plan.yml of the role {name} does not set {fact}.", hint="Let it do so.")
        return self._facts[fact]

    def _role(self, name: str) -> Role:
        """Load a role as ``import_role`` does, so its tasks begin with the validation of its arguments."""
        play = Play()
        try:
            include = RoleInclude.load(name, play, loader=self._loader, collection_list=self._task.collections)
            return Role.load(include, play, from_files={"tasks": "plan"}, from_include=True)
        except AnsibleError as error:
            raise ValidationError(f"The role {name} can't be planned: {error}", item=name) from error

    def _do(self, name: str, task: Task, variables: dict) -> dict:
        """Do a task of a plan and return the facts that it sets."""
        unknown = not isinstance(task, Task) or task.action not in (*_SET_FACT, *_CHECKS)
        if unknown or any(getattr(task, keyword) for keyword in _NOT_HERE):
            raise ValidationError(
                f"tasks/plan.yml of the role {name} has the task {task.get_name()!r}, which can't be done here.",
                hint="Let it have plain tasks of assert and set_fact only, or import the role with tasks_from: plan.",
                item=name,
            )
        templar = self._templar.copy_with_new_env(available_variables=variables)
        try:
            task.untemplated_args = dict(task.args)  # where assert of ansible-core 2.18 reads its conditions
            task.args = {
                option: value if option in _AS_THEY_ARE else templar.template(value)
                for option, value in task.args.items()
            }
            if task.action in _SET_FACT:
                return task.args
            result = self._action(task, templar).run(task_vars=variables)
        except AnsibleError as error:
            result = {"failed": True, "msg": f"{task.get_name()}: {error}"}
        if result.get("failed"):
            told = result["msg"] if name in result["msg"] else f"{name}: {result['msg']}"
            raise _Refused({**ValidationError(told, item=name).as_result(), "_ansible_no_log": bool(task.no_log)})
        return {}

    def _action(self, task: Task, templar: object) -> ActionBase:
        return self._shared_loader_obj.action_loader.get(
            task.action,
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=templar,
            shared_loader_obj=self._shared_loader_obj,
        )
