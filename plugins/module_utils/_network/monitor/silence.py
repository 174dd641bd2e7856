# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Windows of silence: times of the day on some weekdays, or from one date to another, in a time zone that is said."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone, tzinfo

from ..._core.errors import ValidationError

try:
    from zoneinfo import ZoneInfo
except ImportError:  # Python 3.8, which this can't be used on
    ZoneInfo = None

__all__ = ["DAYS", "Silence", "parse_silence"]

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}")
_OPTIONS = frozenset(("from", "to", "days", "timezone", "targets", "comment"))


@dataclass(frozen=True)
class Silence:
    """A window. Either ``start`` and ``end`` are minutes of the day, or they are dates with a time.

    A window that ends before it begins goes over midnight and belongs to the day on which it begins. One that ends when
    it begins takes the whole day.
    """

    start: int | datetime
    end: int | datetime
    zone: tzinfo
    days: frozenset[int]
    targets: tuple[str, ...]

    def covers(self, target: str, now: float) -> bool:
        """Return whether it silences ``target`` at ``now`` (seconds since the epoch)."""
        if self.targets and not any(fnmatch.fnmatchcase(target, pattern) for pattern in self.targets):
            return False
        here = datetime.fromtimestamp(now, self.zone)
        if isinstance(self.start, datetime) or isinstance(self.end, datetime):
            return self.start <= here < self.end
        minute, today = here.hour * 60 + here.minute, here.weekday()
        if self.start < self.end:
            return today in self.days and self.start <= minute < self.end
        late = today in self.days and minute >= self.start
        return late or ((today - 1) % 7 in self.days and minute < self.end)


def parse_silence(given: object, where: str) -> Silence:
    """Return the window that a mapping of the configuration describes.

    :param where: its place, such as ``silences[0]``, for messages.
    :raises ValidationError: it can't be understood.
    """
    if not isinstance(given, Mapping) or set(given) - _OPTIONS:
        raise ValidationError(f"{where} is no window of silence.", hint=f"Options are {', '.join(sorted(_OPTIONS))}.")
    zone = _zone(given.get("timezone") or "UTC", where)
    start, end = (_moment(given.get(option), f"{where}.{option}", zone) for option in ("from", "to"))
    if isinstance(start, datetime) != isinstance(end, datetime):
        raise ValidationError(
            f"{where}: from and to must both be a time or both be a date with a time.",
            hint="Write 22:00 and 06:00, or 2026-12-24T18:00 and 2026-12-27T06:00.",
        )
    days = given.get("days") or DAYS
    unknown = [day for day in days if day not in DAYS]
    if unknown:
        raise ValidationError(f"{where}.days: {unknown[0]!r} is no weekday.", hint=f"Weekdays are {', '.join(DAYS)}.")
    if isinstance(start, datetime):
        if given.get("days"):
            raise ValidationError(f"{where}: days belong to times of the day.", hint="Leave days out.")
        if start >= end:
            raise ValidationError(f"{where}: it ends before it begins.", hint="Let to be later than from.")
    numbers = frozenset(DAYS.index(day) for day in days)
    return Silence(start, end, zone, numbers, tuple(str(name) for name in given.get("targets") or ()))


def _zone(name: object, where: str) -> tzinfo:
    if name == "UTC":
        return timezone.utc
    try:
        return ZoneInfo(str(name))
    except (KeyError, ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError
        raise ValidationError(
            f"{where}.timezone: {name!r} is no time zone of this host.",
            hint="Write a name such as Europe/Berlin (timedatectl list-timezones), and install the package tzdata.",
        ) from None


def _moment(given: object, where: str, zone: tzinfo) -> int | datetime:
    text = str(given)
    found = _TIME.fullmatch(text)
    if found:
        return int(found[1]) * 60 + int(found[2])
    if _DATE.fullmatch(text):
        try:
            return datetime.fromisoformat(text).replace(tzinfo=zone)
        except ValueError:
            pass
    raise ValidationError(
        f"{where}: {given!r} is neither a time nor a date with a time.", hint='Write "22:00" or "2026-12-24T18:00".'
    )
