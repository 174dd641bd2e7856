# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Delays between attempts: exponential backoff with jitter.

The jitter modes full, equal and decorrelated are those of Marc Brooker, "Exponential Backoff And Jitter",
https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ (2015).
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .._core.errors import ValidationError

__all__ = ["BACKOFF_SPEC", "JITTERS", "MOST_ATTEMPTS", "Backoff", "seconds"]

JITTERS = ("none", "full", "equal", "decorrelated")
MOST_ATTEMPTS = 10_000

BACKOFF_SPEC = {
    "attempts": {"type": "int", "default": 3},
    "initial_delay": {"type": "float", "default": 1.0},
    "multiplier": {"type": "float", "default": 2.0},
    "max_delay": {"type": "float", "default": 60.0},
    "jitter": {"type": "str", "choices": list(JITTERS), "default": "full"},
}
"""The options of a policy, as an argument spec."""


def seconds(value: float, option: str, least: float = 0.0) -> float:
    """Return ``value`` if it is a finite number of seconds that is not below ``least``.

    :raises ValidationError: naming ``option``.
    """
    if not math.isfinite(value) or value < least:
        bound = f"{least:g} or more" if least else "not negative"
        raise ValidationError(f"{option} is {value:g}; it must be {bound}.", hint=f"Give {option} in seconds.")
    return value


@dataclass(frozen=True)
class Backoff:
    """How often to try, and how long to wait in between, in seconds.

    Before attempt n + 1 the backoff is b = min(max_delay, initial_delay * multiplier ** (n - 1)), and the wait

    - ``none``: b
    - ``full``: anything from 0 to b
    - ``equal``: half of b and anything from 0 to the other half
    - ``decorrelated``: anything from initial_delay to 3 times the last wait, at most max_delay; no ``multiplier``.
    """

    attempts: int = 3
    initial_delay: float = 1.0
    multiplier: float = 2.0
    max_delay: float = 60.0
    jitter: str = "full"

    @classmethod
    def from_options(cls, options: Mapping, where: str = "retry") -> Backoff:
        """Return the policy that options after ``BACKOFF_SPEC`` describe.

        :param where: the name of the option that holds them, for messages.
        :raises ValidationError: a value can't be used.
        """
        policy = cls(**{name: options[name] for name in BACKOFF_SPEC})
        prefix = f"{where}." if where else ""
        if not 1 <= policy.attempts <= MOST_ATTEMPTS:
            raise ValidationError(
                f"{prefix}attempts is {policy.attempts}; it must be from 1 to {MOST_ATTEMPTS:,}.",
                hint="1 is a single attempt, without a retry.",
            )
        seconds(policy.initial_delay, f"{prefix}initial_delay")
        seconds(policy.max_delay, f"{prefix}max_delay")
        if not math.isfinite(policy.multiplier) or policy.multiplier < 1:
            raise ValidationError(
                f"{prefix}multiplier is {policy.multiplier:g}; it must be 1 or more.",
                hint="1 keeps delays constant.",
            )
        if policy.max_delay < policy.initial_delay:
            raise ValidationError(
                f"{prefix}max_delay ({policy.max_delay:g}) is shorter than {prefix}initial_delay"
                f" ({policy.initial_delay:g}).",
                hint=f"Raise {prefix}max_delay or lower {prefix}initial_delay.",
            )
        return policy

    def delays(self, random_number: random.Random | None = None) -> Iterator[float]:
        """Yield the wait after each attempt but the last, in seconds.

        :param random_number: the source of the jitter; the system's by default, so that forked processes differ.
        """
        chance = random_number or random.SystemRandom()
        waited = self.initial_delay
        for number in range(self.attempts - 1):
            if self.jitter == "decorrelated":
                waited = min(self.max_delay, chance.uniform(self.initial_delay, waited * 3))
                yield waited
                continue
            backoff = self._backoff(number)
            if self.jitter == "full":
                yield chance.uniform(0, backoff)
            elif self.jitter == "equal":
                yield backoff / 2 + chance.uniform(0, backoff / 2)
            else:
                yield backoff

    def _backoff(self, number: int) -> float:
        try:
            return min(self.max_delay, self.initial_delay * self.multiplier**number)
        except OverflowError:
            return self.max_delay

    def bounds(self) -> list[tuple[float, float]]:
        """Return the shortest and longest wait after each attempt but the last, in seconds."""
        if self.jitter == "decorrelated":
            longest = itertools.accumulate(
                range(self.attempts - 1), lambda last, _: min(self.max_delay, last * 3), initial=self.initial_delay
            )
            return [(self.initial_delay, bound) for bound in itertools.islice(longest, 1, None)]
        whole = [self._backoff(number) for number in range(self.attempts - 1)]
        least = {"none": 1.0, "full": 0.0, "equal": 0.5}[self.jitter]
        return [(backoff * least, backoff) for backoff in whole]
