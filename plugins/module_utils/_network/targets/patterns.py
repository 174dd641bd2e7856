# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Patterns that can't take the program hostage, whatever they are and whatever a server sends.

A pattern such as ``(a+)+$`` takes time that doubles with each character of a text that almost matches. So the text is
cut, and a search is given up after a tenth of a second: Python's matcher looks for signals every few thousand steps, so
that the exception of a timer's handler ends it.
"""

from __future__ import annotations

import re
import signal
import threading
from types import FrameType

from ..._core.errors import InternalError, TimeoutExpired, ValidationError

__all__ = ["MOST_TEXT", "Pattern"]

MOST_TEXT = 16384
"""Characters of a text that are searched."""

_LIMIT = 0.1
_LONGEST = 1000


class _GivenUp(Exception):
    """Raised by the timer in the middle of a search."""


class Pattern:
    """A regular expression whose searches end.

    :param option: named in errors.
    :raises ValidationError: it is not one, or is longer than 1000 characters.
    """

    def __init__(self, text: str, option: str) -> None:
        self.text = text
        self._gave_up = False
        if len(text) > _LONGEST:
            raise ValidationError(f"{option} has more than {_LONGEST} characters.", hint="Look for less.")
        try:
            self._compiled = re.compile(text, re.MULTILINE)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValidationError(
                f"{option}: {text!r} is not a regular expression: {error}.",
                hint="Put \\ before ( ) [ ] { } * + ? . | $ ^.",
            ) from None

    def found_in(self, text: str) -> bool:
        """Return whether the pattern is in the first 16384 characters of ``text``. Call it in the main thread.

        :raises TimeoutExpired: the search was given up; from then on at once, so that a pattern costs its time once.
        """
        if not self._gave_up:
            if threading.current_thread() is not threading.main_thread():
                raise InternalError("Patterns are searched for in the main thread only.")
            previous = signal.signal(signal.SIGALRM, _give_up)
            try:
                signal.setitimer(signal.ITIMER_REAL, _LIMIT)
                try:
                    return self._compiled.search(text[:MOST_TEXT]) is not None
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
            except _GivenUp:
                self._gave_up = True
            finally:
                signal.signal(signal.SIGALRM, previous)
        raise TimeoutExpired(
            f"The search for {self.text!r} was given up after {_LIMIT:g} s.",
            hint="Write it without a repetition in a repetition, such as (a+)+.",
        )


def _give_up(_number: int, _frame: FrameType | None) -> None:
    raise _GivenUp
