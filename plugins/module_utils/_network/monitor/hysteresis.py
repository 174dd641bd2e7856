# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When an alert fires and when it clears: a state machine without clocks, files or network.

One rule covers both wishes: an alert fires when at least ``failures`` of the last ``window`` rounds have failed. With
a window of as many rounds as failures, that is "so many in a row". It clears after ``successes`` good rounds in a row,
and then everything is forgotten, so that the next alert needs new failures.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["Standing", "Thresholds", "step", "tell"]

_FAILED, _GOOD = "F", "g"


@dataclass(frozen=True)
class Thresholds:
    """In rounds: ``failures`` of the last ``window`` fire an alert, ``successes`` in a row clear it; all at least 1."""

    failures: int = 3
    window: int = 3
    successes: int = 2


@dataclass(frozen=True)
class Standing:
    """What is remembered of a target between rounds.

    :param alerting: whether it is in alert.
    :param told: whether those who are notified believe so; it lags behind during silence.
    :param recent: a letter for each of the last rounds, the newest last: F failed, g good.
    :param since: when ``alerting`` last changed, seconds since the epoch; ``None`` before the first alert.
    """

    alerting: bool = False
    told: bool = False
    recent: str = ""
    since: float | None = None


def step(standing: Standing, failed: bool, thresholds: Thresholds, now: float) -> Standing:
    """Return the standing after one more round."""
    kept = max(thresholds.window, thresholds.successes)
    recent = (standing.recent + (_FAILED if failed else _GOOD))[-kept:]
    if not standing.alerting:
        # A good round fires nothing, even where the thresholds were lowered since the last one.
        if failed and recent[-thresholds.window :].count(_FAILED) >= thresholds.failures:
            return replace(standing, alerting=True, recent=recent, since=now)
    elif len(recent) - len(recent.rstrip(_GOOD)) >= thresholds.successes:
        return replace(standing, alerting=False, recent="", since=now)
    return replace(standing, recent=recent)


def tell(standing: Standing, silenced: bool) -> tuple[Standing, str | None]:
    """Return what people have to be told now, ``alert``, ``recovery`` or nothing, and the standing after that.

    What happens during silence is told when it ends, if it still holds; an alert that fires and clears during silence
    is never told. So to whoever listens, alerts and recoveries of a target always alternate.
    """
    if silenced or standing.told == standing.alerting:
        return standing, None
    return replace(standing, told=standing.alerting), "alert" if standing.alerting else "recovery"
