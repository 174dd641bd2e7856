# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find and render what is on the controller, in the way of ansible.builtin.template and ansible.builtin.copy."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible import template as ansible_template
from ansible.errors import AnsibleError
from ansible.module_utils.common.text.converters import to_bytes, to_text

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import NotFoundError, ValidationError

from .template_errors import LineProbe, describe, line_of

__all__ = ["Content", "Sources"]

_BLOCK = 1 << 20
_trust = getattr(ansible_template, "trust_as_template", None)
"""ansible-core 2.19 and newer render only strings that are marked as trusted."""


@dataclass(frozen=True)
class Content:
    """The bytes of one file: in memory, or at ``path`` on the controller; with size in bytes and SHA-256 in hex."""

    checksum: str
    size: int
    data: bytes | None = None
    path: str | None = None

    @classmethod
    def of(cls, data: bytes) -> Content:
        return cls(hashlib.sha256(data).hexdigest(), len(data), data=data)

    @classmethod
    def at(cls, path: str) -> Content:
        digest, size = hashlib.sha256(), 0
        with open(path, "rb") as handle:
            for block in iter(lambda: handle.read(_BLOCK), b""):
                digest.update(block)
                size += len(block)
        return cls(digest.hexdigest(), size, path=path)

    def read(self) -> bytes:
        if self.data is not None:
            return self.data
        with open(self.path or "", "rb") as handle:
            return handle.read()


class Sources:
    """What an action plugin can find and render for one task and host.

    :param action: the running action plugin; lends its loader, templar and search path.
    :param task_vars: all variables of the task.
    """

    def __init__(self, action: Any, task_vars: Mapping[str, Any]) -> None:
        self._action = action
        self._loader = action._loader
        self._task_vars = task_vars
        self.host = str(task_vars.get("inventory_hostname", ""))

    def find(self, src: str, option: str, dest: str, template: bool = False, directory: bool = False) -> str:
        """Return the absolute path of ``src``, looked up in ``templates/`` and ``files/`` of role and play.

        :raises NotFoundError: there is no such file (directory).
        """
        places = ("templates", "files") if template or directory else ("files", "templates")
        for place in places:
            try:
                path = to_text(self._action._find_needle(place, src))
            except AnsibleError:
                continue
            if os.path.isdir(path) == directory:
                return path
        kind = "directory" if directory else "file"
        raise NotFoundError(
            f"{option}: there is no {kind} {src} on the controller (for {dest}).",
            hint="It is looked up in templates/ and files/ of the role, then beside the play.",
            item=dest,
        )

    def content(self, path: str, option: str, dest: str) -> Content:
        """Return the content of the file at ``path``; one encrypted by Ansible Vault is decrypted."""
        try:
            real = to_text(self._loader.get_real_file(path))
            if real == path:
                return Content.at(path)
            try:
                with open(real, "rb") as handle:
                    return Content.of(handle.read())
            finally:
                self._loader.cleanup_tmp_file(real)
        except (AnsibleError, OSError) as error:
            raise NotFoundError(f"{option}: {path} can't be read: {error}", item=dest) from None

    def render(
        self, path: str, shown: str, option: str, dest: str, variables: Mapping[str, Any], sensitive: bool
    ) -> Content:
        """Return the template at ``path``, rendered with the task's variables and ``variables``, which win.

        :param shown: the path as the task names it, ``template_path`` in templates.
        :raises ValidationError: naming template, line, variable, destination and host; for a sensitive file only
            what can't quote a value.
        """
        try:
            text = self._text(path)
        except (AnsibleError, OSError, UnicodeError) as error:
            raise ValidationError(f"{option}: the template {path} can't be read: {error}", item=dest) from None
        try:
            return Content.of(to_bytes(self._render(text, path, shown, dest, variables), errors="surrogate_or_strict"))
        except Exception as error:
            # Whatever a template or a filter in it raises is the template's error.
            where = f"{option}: the template {path}"
            line = line_of(error)
            if line is None:
                probe = LineProbe()
                with contextlib.suppress(Exception):
                    self._render(text, path, shown, dest, variables, probe)
                line = probe.line
            where += f", line {line}" if line else ""
            what = describe(error, sensitive)
            raise ValidationError(f"{where}: {what} (for {dest} on {self.host}).", item=dest) from None

    def _text(self, path: str) -> str:
        if _trust is not None:
            return _trust(self._loader.get_text_file_contents(path))
        real = to_text(self._loader.get_real_file(path))
        try:
            with open(real, "rb") as handle:
                return to_text(handle.read(), errors="surrogate_or_strict")
        finally:
            self._loader.cleanup_tmp_file(to_bytes(real))

    def _render(
        self,
        text: str,
        path: str,
        shown: str,
        dest: str,
        variables: Mapping[str, Any],
        probe: LineProbe | None = None,
    ) -> str:
        available = dict(self._task_vars)
        known = ansible_template.generate_ansible_template_vars(shown, path, dest)
        if _trust is not None and "ansible_managed" in available:
            # Since 2.19 the user's own value wins.
            known.pop("ansible_managed", None)
        available.update(known)
        available.update(variables if _trust is not None else _unsafe(variables))
        overrides = {"trim_blocks": True, "lstrip_blocks": False, "newline_sequence": "\n"}
        search = self._search_path(path)
        if _trust is not None:
            templar = self._action._templar.copy_with_new_env(searchpath=search, available_variables=available)
            if probe is not None:
                probe.watch(templar._engine.environment)
            result = templar.template(text, escape_backslashes=False, overrides=overrides)
        else:
            del overrides["newline_sequence"]
            templar = self._action._templar.copy_with_new_env(
                environment_class=ansible_template.AnsibleEnvironment,
                searchpath=search,
                newline_sequence="\n",
                available_variables=available,
            )
            # Before 2.19 all copies share one cache, keyed by name: another directory's include would be taken.
            templar.environment.cache.clear()
            result = templar.do_template(
                text, preserve_trailing_newlines=True, escape_backslashes=False, overrides=overrides
            )
        return "" if result is None else to_text(result)

    def _search_path(self, path: str) -> list[str]:
        """Where ``include`` and ``import`` look: as for ansible.builtin.template, and in the ``templates`` directory
        that the template lies below, since a plan may name a template of another role."""
        places = list(self._task_vars.get("ansible_search_path", []))
        places += [self._loader.get_basedir(), os.path.dirname(path)]
        above = path
        while above != os.path.dirname(above):
            above = os.path.dirname(above)
            if os.path.basename(above) == "templates":
                places.append(above)
                break
        return [found for place in places for found in (os.path.join(place, "templates"), place)]


def _unsafe(variables: Mapping[str, Any]) -> Mapping[str, Any]:
    """Before 2.19, keep values that were templated once from being templated again."""
    from ansible.utils.unsafe_proxy import wrap_var

    return wrap_var(dict(variables))
