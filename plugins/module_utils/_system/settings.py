# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The settings of a host as one call: everything is read and checked before anything is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from .._core.module import text_diff
from .._core.outcomes import Outcomes
from .hostname import Hostname
from .hosts_file import HostsFile, read_entries
from .sysctl import Sysctl
from .timezone import Timezone

__all__ = ["apply_settings"]


def apply_settings(
    hostname: str | None = None,
    hosts: Iterable[Mapping] | None = None,
    timezone: str | None = None,
    sysctl: Mapping[str, object] | None = None,
    check_mode: bool = False,
    warn: Callable[[str], None] | None = None,
) -> dict:
    """Bring the settings to what is wanted (in check mode, only say what would be done) and return the result.

    ``None`` leaves a setting as it is. One outcome for each of ``hostname``, ``hosts`` and ``timezone``; for kernel
    parameters one for each key, and one for their file.

    :raises ToolkitError: an option makes no sense or contradicts the hosts file; then nothing was changed.
    """
    entries = None if hosts is None else read_entries(hosts)
    name = None if hostname is None else Hostname(hostname)
    file = None if entries is None and hostname is None else HostsFile(entries, hostname)
    zone = None if timezone is None else Timezone(timezone)
    parameters = None if sysctl is None else Sysctl(sysctl)
    outcomes = Outcomes()
    if name is not None:
        with outcomes.item("hostname") as outcome:
            outcome.update(changed=name.changed, before=name.static, after=name.name)
            if name.changed:
                outcomes.diffs.append(text_diff("hostname", *name.diff()))
                if not check_mode:
                    name.apply()
    if file is not None:
        with outcomes.item("hosts") as outcome:
            outcome["changed"] = file.changed
            if file.changed:
                outcomes.diffs.append(text_diff("/etc/hosts", *file.diff()))
                if not check_mode:
                    file.apply()
    if zone is not None:
        with outcomes.item("timezone") as outcome:
            outcome.update(changed=zone.changed, before=zone.linked, after=zone.name)
            if zone.changed:
                outcomes.diffs.append(text_diff("timezone", *zone.diff()))
                if not check_mode:
                    zone.apply()
    if parameters is not None:
        _apply_sysctl(parameters, outcomes, check_mode, warn or (lambda _text: None))
    return outcomes.result()


def _apply_sysctl(parameters: Sysctl, outcomes: Outcomes, check_mode: bool, warn: Callable[[str], None]) -> None:
    live = [value for value in parameters.values if value.error is None and value.live != value.wanted]
    before = "".join(f"{value.key} = {value.live}\n" for value in live)
    with outcomes.item(parameters.path) as outcome:
        if not check_mode:
            try:
                parameters.apply()
            finally:
                live = [value for value in live if value.error is None]
        after = parameters.after
        outcome["changed"] = after != parameters.before
        if outcome["changed"]:
            outcomes.diffs.append(text_diff(parameters.path, parameters.before, after))
    if live:
        outcomes.diffs.append(text_diff("/proc/sys", before, "".join(f"{v.key} = {v.wanted}\n" for v in live)))
    for value in parameters.values:
        with outcomes.item(value.key) as outcome:
            outcome.update(changed=value in live, before=value.live, after=value.wanted)
            if value.error is not None:
                outcome["after"] = value.live
                raise value.error
            if value.overridden_by is not None:
                outcome["overridden_by"] = value.overridden_by
                warn(f"sysctl: {value.overridden_by} sets {value.key} to something else at each boot.")
