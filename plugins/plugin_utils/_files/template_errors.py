# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tell where in a template an error arose, and what it was, without quoting secrets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import GeneratorType
from typing import Any

from ansible.module_utils.common.text.converters import to_text
from jinja2.exceptions import TemplateSyntaxError, UndefinedError
from jinja2.runtime import Undefined

__all__ = ["LineProbe", "describe", "line_of"]


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the exception and those that caused it; before ansible-core 2.19 the cause is in ``orig_exc``."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        original = getattr(error, "orig_exc", None)
        error = original if isinstance(original, BaseException) else (error.__cause__ or error.__context__)


def line_of(error: BaseException) -> int | None:
    """Return the line of the template at which ``error`` arose, where its traceback or the parser tells."""
    for link in _chain(error):
        if isinstance(link, TemplateSyntaxError):
            return link.lineno
        frame = link.__traceback__
        while frame is not None:
            scope = frame.tb_frame.f_globals
            if "__jinja_exception__" in scope:
                # A frame that Jinja made up, with the template's own line.
                return frame.tb_lineno
            if "__jinja_template__" in scope:
                return scope["__jinja_template__"].get_corresponding_lineno(frame.tb_lineno)
            frame = frame.tb_next
    return None


class LineProbe:
    """Finds the line of an error that ansible-core 2.19 and newer raise only after the template has run.

    They let a template go on with a marker in the place of what failed, so no traceback leads into it. The probe
    watches a second run: the template is a generator, and when it yields a marker it stands at the line in question.
    """

    def __init__(self) -> None:
        self.line: int | None = None
        self._concat: Any = None
        self._inside = False

    def watch(self, environment: Any) -> None:
        """Watch the templates of this Jinja environment."""
        self._concat = environment.concat
        environment.concat = self._watch

    def _watch(self, nodes: Iterable[Any]) -> Any:
        # Variables that are templates themselves run inside the template's own run; their lines don't count.
        if self._inside or not isinstance(nodes, GeneratorType):
            return self._concat(nodes)
        self._inside = True
        try:
            return self._concat(self._each(nodes))
        finally:
            self._inside = False

    def _each(self, nodes: GeneratorType) -> Iterator[Any]:
        try:
            for node in nodes:
                if self.line is None and isinstance(node, Undefined):
                    template = nodes.gi_frame.f_globals["__jinja_template__"]
                    self.line = template.get_corresponding_lineno(nodes.gi_frame.f_lineno)
                yield node
        except Exception as error:
            self.line = self.line or line_of(error)
            raise


def describe(error: BaseException, sensitive: bool) -> str:
    """Return what went wrong in one line; for a ``sensitive`` file only what can't quote a value."""
    links = list(_chain(error))
    syntax = next((link for link in links if isinstance(link, TemplateSyntaxError)), None)
    if syntax is not None:
        return f"syntax error: {syntax.message}"
    shown: BaseException | None = error
    if sensitive:
        # The innermost says which name is undefined; those around it may quote what was being rendered.
        named = [link for link in links if isinstance(link, UndefinedError) or "Undefined" in type(link).__name__]
        if not named:
            return f"{type(error).__name__} (not shown, the file is sensitive)"
        shown = named[-1]
    return " ".join(to_text(getattr(shown, "message", None) or shown).split())
