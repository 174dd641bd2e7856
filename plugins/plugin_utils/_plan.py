# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Merge what several roles want of a host into one plan, and refuse wishes that exclude each other.

A plan is a dict with the name of its ``role`` and, for each phase that the role needs, the desired state in the form
that the phase's module takes. Merging concatenates lists and joins mappings; two roles may want the same thing, but not
the same thing in two ways.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..module_utils._core.errors import ConflictError, ValidationError

__all__ = ["LISTS", "MAPPINGS", "merge_plans"]

LISTS = {
    "packages": ("name",),
    "groups": ("name",),
    "users": ("name",),
    "certificates": ("name",),
    "acme_certificates": ("name",),
    "files": ("dest",),
    "trees": ("src", "dest"),
    "file_sets": ("name",),
    "services": ("name",),
    "databases": ("name",),
    "database_users": ("name", "host"),
}
"""Phases whose desired state is a list, with the options that identify an item."""

MAPPINGS = ("certificate_authority", "acme", "system", "firewall", "ssh")
"""Phases whose desired state is a mapping of options."""


class _Merger:
    def __init__(self) -> None:
        self._owners: dict[tuple, str] = {}

    def join(self, where: tuple, mine: Mapping, theirs: Mapping, role: str) -> dict:
        """Return both mappings in one.

        :raises ConflictError: they give different values to the same option.
        """
        joined = dict(mine)
        for option, value in theirs.items():
            place = (*where, option)
            if option not in joined or joined[option] in (None, ""):
                joined[option] = value
            elif isinstance(joined[option], Mapping) and isinstance(value, Mapping):
                joined[option] = self.join(place, joined[option], value, role)
            elif isinstance(joined[option], list) and isinstance(value, list):
                joined[option] = joined[option] + [entry for entry in value if entry not in joined[option]]
            elif value not in (None, "") and joined[option] != value:
                first = self._owners.get(place[:2], role)
                who = f"The role {role}" if first == role else f"The roles {first} and {role}"
                raise ConflictError(
                    f"{who} asked for two values of {option} for {' '.join(map(str, where))}.",
                    hint="Give each thing one name and one set of options.",
                    item=str(where[-1]),
                )
        return joined

    def own(self, where: tuple, role: str) -> None:
        self._owners.setdefault(where[:2], role)


def _identity(phase: str, item: object, role: str) -> str:
    if not isinstance(item, Mapping):
        return str(item)
    names = [str(item[option]) for option in LISTS[phase] if item.get(option) not in (None, "")]
    if not names:
        raise ValidationError(
            f"An item of {phase} planned by the role {role} has no {LISTS[phase][0]}.",
            hint=f"Give every item of {phase} a {LISTS[phase][0]}.",
        )
    return " ".join(names)


def merge_plans(plans: Iterable[Mapping]) -> dict:
    """Return one plan with every phase present (empty where nobody wants anything) and the list of ``roles``.

    :param plans: plans in the order of their roles; ``None`` entries are left out.
    :raises ConflictError: two plans (or two items of one plan) want the same thing in two ways.
    :raises ValidationError: a plan has a phase that doesn't exist, or an item without identity.
    """
    merged: dict = {"roles": []}
    merged.update({phase: [] for phase in LISTS})
    merged.update({phase: {} for phase in MAPPINGS})
    merger = _Merger()
    index: dict[tuple, int] = {}
    for plan in plans:
        if not plan:
            continue
        role = str(plan.get("role", "?"))
        merged["roles"].append(role)
        for phase, wishes in plan.items():
            if phase == "role":
                continue
            if phase in MAPPINGS:
                for option in wishes:
                    merger.own((phase, option), role)
                merged[phase] = merger.join((phase,), merged[phase], wishes, role)
            elif phase in LISTS:
                for item in wishes or []:
                    place = (phase, _identity(phase, item, role))
                    if place not in index:
                        index[place] = len(merged[phase])
                        merger.own(place, role)
                        merged[phase].append(item)
                    elif isinstance(item, Mapping) and isinstance(merged[phase][index[place]], Mapping):
                        merged[phase][index[place]] = merger.join(place, merged[phase][index[place]], item, role)
            else:
                known = ", ".join([*LISTS, *MAPPINGS])
                raise ValidationError(f"The role {role} plans {phase}, which is no phase.", hint=f"Phases are {known}.")
    return merged
