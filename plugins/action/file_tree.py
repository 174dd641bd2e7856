# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's half of ``file_tree``: renders, asks the host what differs, sends only that."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from typing import Any

from ansible import constants
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ToolkitError, ValidationError
from ansible_collections.scripts.toolkit.plugins.module_utils._files.spec import file_tree_spec
from ansible_collections.scripts.toolkit.plugins.module_utils._files.wire import pack, pack_content, unpack
from ansible_collections.scripts.toolkit.plugins.plugin_utils._files.merge import merge_wishes
from ansible_collections.scripts.toolkit.plugins.plugin_utils._files.session import Session
from ansible_collections.scripts.toolkit.plugins.plugin_utils._files.sources import Content, Sources
from ansible_collections.scripts.toolkit.plugins.plugin_utils._files.wishes import read_sets, read_wishes

_MODULE = "scripts.toolkit.file_tree"
_INLINE_LIMIT = 1 << 20
"""Contents of more bytes than this are transferred as a file instead of in the module's arguments."""


class _RemoteFailure(Exception):
    """The host's half did not answer; carries the failing result."""

    def __init__(self, result: dict) -> None:
        super().__init__(result.get("msg", ""))
        self.result = result


class ActionModule(ActionBase):
    """Two remote calls at most: compare, and apply if something differs."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict:
        super().run(tmp, task_vars)
        self._said: dict[str, list] = {}
        try:
            result = self._run(task_vars or {})
        except ToolkitError as error:
            result = {"changed": False, **error.as_result()}
        except _RemoteFailure as failure:
            result = failure.result
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        for name, said in self._said.items():
            result.setdefault(name, []).extend(said)
        return result

    def _run(self, task_vars: dict[str, Any]) -> dict:
        options = self._options()
        wishes = merge_wishes(read_wishes(options, Sources(self, task_vars)))
        sets = read_sets(options, wishes)
        text_limit = constants.MAX_FILE_SIZE_FOR_DIFF if self._task.diff else 0
        session = Session(wishes, sets, options["make_parents"], text_limit)
        session.compared(self._ask(session.compare_request(), task_vars))
        if session.work and not self._task.check_mode:
            session.applied(self._apply(session, task_vars))
        result = session.result()
        if not self._task.diff:
            result.pop("diff", None)
        return result

    def _options(self) -> dict:
        checked = ArgumentSpecValidator(file_tree_spec()).validate(dict(self._task.args))
        if checked.error_messages:
            raise ValidationError("; ".join(checked.error_messages))
        return checked.validated_parameters

    def _ask(self, request: Mapping, task_vars: dict[str, Any], archive: str | None = None) -> dict:
        arguments = {"_request": pack(request)}
        if archive:
            arguments["_archive"] = archive
        result = self._execute_module(module_name=_MODULE, module_args=arguments, task_vars=task_vars)
        result.pop("invocation", None)
        if result.get("failed") or "answer" not in result:
            result["failed"] = True
            result.setdefault("msg", "The remote half of file_tree ended without an answer.")
            message = "The remote half of file_tree ended without an answer; the next run restores what it had begun."
            result.setdefault("error", {"kind": "unavailable", "message": message, "hint": None, "item": None})
            raise _RemoteFailure(result)
        for name in ("warnings", "deprecations"):
            self._said.setdefault(name, []).extend(result.get(name, []))
        return unpack(result["answer"])

    def _apply(self, session: Session, task_vars: dict[str, Any]) -> dict:
        contents = session.contents_to_send()
        if sum(content.size for content in contents) <= _INLINE_LIMIT:
            inline = {content.checksum: pack_content(content.read()) for content in contents}
            return self._ask(session.apply_request(inline), task_vars)
        return self._ask(session.apply_request({}), task_vars, archive=self._transfer(contents))

    def _transfer(self, contents: list[Content]) -> str:
        """Put the contents on the host as one archive; return its path there. It goes with the temporary directory."""
        directory = tempfile.mkdtemp(dir=constants.DEFAULT_LOCAL_TMP)
        try:
            local = os.path.join(directory, "contents.zip")
            with zipfile.ZipFile(local, "w", zipfile.ZIP_DEFLATED) as archive:
                for content in contents:
                    if content.path is not None:
                        archive.write(content.path, content.checksum)
                    else:
                        archive.writestr(content.checksum, content.read())
            if self._connection._shell.tmpdir is None:
                self._make_tmp_path()
            remote = self._connection._shell.join_path(self._connection._shell.tmpdir, "contents.zip")
            self._transfer_file(local, remote)
            self._fixup_perms2((self._connection._shell.tmpdir, remote))
            return remote
        finally:
            shutil.rmtree(directory)
