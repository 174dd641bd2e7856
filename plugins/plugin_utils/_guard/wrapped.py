# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The wrapped module or action: found as ansible-core finds that of a task, and run for one attempt."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Iterator, Mapping

from ansible.errors import (
    AnsibleActionFail,
    AnsibleActionSkip,
    AnsibleConnectionFailure,
    AnsibleError,
    AnsibleParserError,
    AnsibleUndefinedVariable,
)
from ansible.executor import module_common
from ansible.plugins.action import ActionBase
from ansible.release import __version__ as core_version

from ...module_utils._core.errors import ValidationError
from .alarm import TimeIsUp, end_children, limited_to
from .remote import CLEANING, Limits

__all__ = ["Wrapped"]

_GRACE = CLEANING + 2
"""Seconds for which the host may end by itself what runs there, before the connection is given up."""

_RESET = 5.0
_NORMAL = "ansible.legacy.normal"
_FREE_FORM = ("command", "script", "shell")
_BUILTIN = ("ansible.builtin.", "ansible.legacy.")
# What the strategies do by themselves, so that no action of that name is ever run.
_NO_ACTIONS = frozenset(
    ("import_playbook", "import_role", "import_tasks", "include_role", "include_tasks", "meta", "async_status")
)


class Wrapped:
    """The module ``name`` with the options ``args``, run in place of ``action`` with all that its task says.

    :raises ValidationError: there is no such module, or it is none that can be wrapped.
    """

    def __init__(self, action: ActionBase, name: str, args: Mapping, task_vars: Mapping) -> None:
        self._action = action
        self._task_vars = task_vars
        task = action._task
        short = name.rpartition(".")[2] if name.startswith(_BUILTIN) else name
        if short in _NO_ACTIONS:
            raise ValidationError(
                f"module: {name} is no module that can be wrapped.", hint="Put a guard around each task instead."
            )
        if name in (task.action, getattr(task, "resolved_action", None)):
            raise ValidationError("module: a guard around a guard makes no sense.", hint="Put all guards into one.")
        loader = action._shared_loader_obj
        module = loader.module_loader.find_plugin_with_context(name, collection_list=task.collections)
        has_action = loader.action_loader.has_plugin(name, collection_list=task.collections)
        if not module.resolved and not has_action:
            raise ValidationError(
                f"module: there is no module or action {name!r}.",
                hint="Give its full name, such as ansible.builtin.uri, and install its collection.",
            )
        self.name = str(module.resolved_fqcn if module.resolved else name)
        self._handler = str(module.action_plugin) if module.resolved and module.action_plugin else name
        self._plain = not (has_action or (module.resolved and module.action_plugin))
        self._file = module.plugin_resolved_path if module.resolved else None
        self.args = self._with_defaults(dict(args))
        if short in _FREE_FORM and "cmd" in self.args and not self.args.get("_raw_params"):
            # What ansible-core does when it reads a task; before 2.19 their code knows this name only.
            self.args["_raw_params"] = self.args.pop("cmd")

    def _with_defaults(self, args: dict) -> dict:
        """Return the options with the ``module_defaults`` of the wrapped module and its action groups."""
        task, templar = self._action._task, self._action._templar
        if hasattr(module_common, "_apply_action_arg_defaults"):  # ansible-core 2.19 and newer
            return module_common._apply_action_arg_defaults(self.name, task, args, templar)
        groups = task._parent._play._action_groups
        with_defaults = module_common.get_action_args_with_defaults
        return with_defaults(self.name, args, task.module_defaults, templar, action_groups=groups)

    def code_version(self) -> str:
        """Return what changes with the code of the module and of ansible-core."""
        if self._file is None:
            return core_version
        with open(self._file, "rb") as handle:
            return f"{core_version} {hashlib.sha256(handle.read()).hexdigest()}"

    def attempt(self, limit: float | None) -> dict:
        """Run it once, and return its result; see :class:`Loop`.

        What ansible-core raises for a failed task or a lost connection becomes a result; a wrong template goes on.

        :param limit: seconds.
        """
        if limit is None:
            return self._run()
        if limit <= 0:
            return {"failed": True, "timed_out": "connection"}
        end = time.monotonic() + limit
        limits = Limits(self._action._connection, lambda: end - time.monotonic())
        try:
            with self._limited_on_the_host(limits), limited_to(limit + _GRACE):
                result = self._run()
        except TimeIsUp:
            self._give_connection_up()
            return {"failed": True, "timed_out": limits.ended or "connection"}
        if limits.ended and (result.get("failed") or result.get("unreachable")):
            kept = {key: result[key] for key in ("stdout", "stderr") if key in result}
            return {**kept, "failed": True, "timed_out": limits.ended}
        return result

    @contextlib.contextmanager
    def _limited_on_the_host(self, limits: Limits) -> Iterator[None]:
        """Limit the commands too, where the host has a POSIX shell."""
        shell = getattr(self._action._connection, "_shell", None)
        if getattr(shell, "SHELL_FAMILY", None) != "sh":
            yield
            return
        with limits.hold():
            yield

    def _give_connection_up(self) -> None:
        """End what waits here for a connection that may be dead, so that the next attempt gets a new one."""
        end_children()
        connection = self._action._connection
        connection._shell.tmpdir = None
        with contextlib.suppress(TimeIsUp, AnsibleError), limited_to(_RESET):
            if hasattr(connection, "reset"):
                connection.reset()

    def _run(self) -> dict:
        handler = self._new_handler()
        try:
            return dict(handler.run(task_vars=self._task_vars))
        except AnsibleActionSkip:
            raise
        except AnsibleActionFail as error:
            return {**getattr(error, "result", {}), "failed": True, "msg": str(error.message or error)}
        except AnsibleConnectionFailure as error:
            return {"unreachable": True, "msg": str(error)}
        except (AnsibleParserError, AnsibleUndefinedVariable):
            raise
        except AnsibleError as error:
            return {"failed": True, "msg": str(error)}
        finally:
            handler.cleanup()

    def _new_handler(self) -> ActionBase:
        action = self._action
        # A copy of the parent would hold copies of all tasks of the play.
        task = action._task.copy(exclude_parent=True)
        task._parent = action._task._parent
        task.action = self.name
        task._resolved_action = self.name
        task.args = dict(self.args)
        return action._shared_loader_obj.action_loader.get(
            _NORMAL if self._plain else self._handler,
            task=task,
            connection=action._connection,
            play_context=action._play_context,
            loader=action._loader,
            templar=action._templar,
            shared_loader_obj=action._shared_loader_obj,
            collection_list=None if self._plain else task.collections,
        )
