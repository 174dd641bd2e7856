# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Windows of silence, in time zones with and without summer time."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ValidationError
from ansible_collections.scripts.toolkit.plugins.module_utils._network.monitor.silence import DAYS, parse_silence


def covers(window: dict, moment: str, target: str = "web", zone: str = "UTC") -> bool:
    now = datetime.fromisoformat(moment).replace(tzinfo=ZoneInfo(zone)).timestamp()
    return parse_silence(window, "silences[0]").covers(target, now)


def test_a_window_within_a_day() -> None:
    window = {"from": "09:00", "to": "17:30"}
    assert [covers(window, f"2026-12-01T{time}") for time in ("08:59", "09:00", "17:29", "17:30")] == [
        False,
        True,
        True,
        False,
    ]


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    window = {"from": "22:00", "to": "06:00", "days": ["fri"]}
    assert not covers(window, "2026-12-04T05:59")  # Friday morning: began on Thursday
    assert covers(window, "2026-12-04T22:00")
    assert covers(window, "2026-12-05T05:59")
    assert not covers(window, "2026-12-05T06:00")
    assert not covers(window, "2026-12-05T22:00")


def test_a_time_is_that_of_the_zone_in_summer_and_in_winter() -> None:
    window = {"from": "02:00", "to": "03:00", "timezone": "Europe/Berlin"}
    assert covers(window, "2026-07-01T00:30")
    assert not covers(window, "2026-07-01T01:30")
    assert covers(window, "2026-12-01T01:30")
    assert not covers(window, "2026-12-01T00:30")


def test_from_one_date_to_another_and_for_some_targets() -> None:
    window = {"from": "2026-12-24T18:00", "to": "2026-12-27T06:00", "targets": ["db*"], "timezone": "Asia/Tokyo"}
    assert covers(window, "2026-12-24T18:00", "db1", "Asia/Tokyo")
    assert not covers(window, "2026-12-24T18:00", "web", "Asia/Tokyo")
    assert not covers(window, "2026-12-27T06:00", "db1", "Asia/Tokyo")


@given(st.integers(0, 1439), st.integers(0, 1439), st.sets(st.sampled_from(DAYS), min_size=1), st.integers(0, 7 * 1440))
def test_it_silences_exactly_the_minutes_after_each_beginning(start: int, end: int, days: set, at: int) -> None:
    monday = datetime(2026, 11, 30, tzinfo=timezone.utc)
    length = (end - start) % 1440 or 1440
    window = {"from": f"{start // 60:02}:{start % 60:02}", "to": f"{end // 60:02}:{end % 60:02}", "days": sorted(days)}
    begins = [day * 1440 + start for day in range(-7, 8) if DAYS[day % 7] in days]
    expected = any(begin <= at < begin + length for begin in begins)
    now = (monday + timedelta(minutes=at)).timestamp()
    assert parse_silence(window, "x").covers("web", now) is expected


@pytest.mark.parametrize(
    ("window", "told"),
    [
        ({"from": "22:00"}, "silences[0].to"),
        ({"from": "24:00", "to": "06:00"}, "silences[0].from"),
        ({"from": "2026-02-30T10:00", "to": "2026-03-01T10:00"}, "silences[0].from"),
        ({"from": "22:00", "to": "2026-03-01T10:00"}, "both"),
        ({"from": "2026-03-01T10:00", "to": "2026-03-01T10:00"}, "ends before it begins"),
        ({"from": "22:00", "to": "06:00", "days": ["friday"]}, "silences[0].days"),
        ({"from": "22:00", "to": "06:00", "timezone": "Middle/Earth"}, "silences[0].timezone"),
        ({"from": "22:00", "to": "06:00", "timezone": "../etc/passwd"}, "silences[0].timezone"),
        ({"from": "22:00", "until": "06:00"}, "silences[0]"),
        ("nights", "silences[0]"),
    ],
)
def test_what_it_does_not_understand_it_refuses_by_name(window: object, told: str) -> None:
    with pytest.raises(ValidationError, match=told.replace("[", r"\[")) as refused:
        parse_silence(window, "silences[0]")
    assert refused.value.hint
