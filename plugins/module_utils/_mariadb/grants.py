# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What must be granted and revoked so that an account holds what it shall."""

from __future__ import annotations

from dataclasses import dataclass, field

from .._core.errors import ConflictError
from .names import Target, all_privileges, parse_privileges, parse_target, privileges_sql
from .state import Account, Held, State
from .wishes import UserWish

__all__ = ["GrantPlan", "grant_lines", "plan_grants"]

_ALL = ("ALL", None)


@dataclass
class GrantPlan:
    """Statements with their arguments in order, what they take away in words, and what is held afterwards."""

    statements: list[tuple[str, tuple]] = field(default_factory=list)
    revoked: list[str] = field(default_factory=list)
    after: dict[Target, Held] = field(default_factory=dict)


def _wanted(wish: UserWish, state: State) -> dict[Target, Held]:
    wanted: dict[Target, Held] = {}
    for grant in wish.grants or ():
        target = parse_target(grant.object, grant.wildcard, state.fold)
        privileges = parse_privileges(grant.privileges, target, state.version)
        held = wanted.setdefault(target, Held(option=grant.option))
        if held.option != grant.option:
            raise ConflictError(
                f"grants.object={grant.object} is listed with and without grant_option.",
                hint="Make them one.",
                item=wish.item,
            )
        held.privileges |= privileges
    return wanted


def _expand(privileges: set, target: Target, state: State) -> set:
    if _ALL not in privileges:
        return set(privileges)
    return {(name, None) for name in all_privileges(target.kind, state.version)}


def plan_grants(wish: UserWish, found: Account | None, state: State) -> GrantPlan:
    """Return the :class:`GrantPlan` for one account. Grants come before revocations, so that at no time the account
    holds less than both before and after."""
    holds = {target: Held(set(held.privileges), held.option) for target, held in found.grants.items()} if found else {}
    plan = GrantPlan(after=holds)
    if wish.grants is None:
        return plan
    wanted = _wanted(wish, state)
    for target in sorted(wanted):
        want, have = wanted[target], holds.setdefault(target, Held())
        missing = _expand(want.privileges, target, state) - have.privileges
        if missing or (want.option and not have.option):
            listed = {_ALL} if missing and _ALL in want.privileges else missing
            suffix = " WITH GRANT OPTION" if want.option else ""
            plan.statements.append((f"GRANT {privileges_sql(listed)} ON {target.sql()} TO %s@%s{suffix}", wish.key))
            have.privileges |= missing
            have.option = have.option or want.option
    if wish.exclusive:
        for target in sorted(holds):
            _revoke(plan, wish, target, wanted.get(target, Held()))
    for target in [target for target, held in holds.items() if not held.privileges and not held.option]:
        del holds[target]
    return plan


def _revoke(plan: GrantPlan, wish: UserWish, target: Target, want: Held) -> None:
    have = plan.after[target]
    extra = set()
    if _ALL not in want.privileges:
        # A privilege on some columns is no more than the same one on the whole table.
        extra = {
            (name, column)
            for name, column in have.privileges
            if (name, column) not in want.privileges and (name, None) not in want.privileges
        }
    option = have.option and not want.option
    if not extra and not option:
        return
    listed = [privileges_sql(extra)] if extra else []
    listed += ["GRANT OPTION"] if option else []
    words = ", ".join(listed)
    plan.statements.append((f"REVOKE {words} ON {target.sql()} FROM %s@%s", wish.key))
    plan.revoked.append(f"{words} ON {target}".replace("%%", "%"))
    # Revoking a privilege on the whole table takes the same one on its columns along.
    whole = {name for name, column in extra if column is None}
    again = {(name, column) for name, column in want.privileges if column is not None and name in whole}
    if again:
        plan.statements.append((f"GRANT {privileges_sql(again)} ON {target.sql()} TO %s@%s", wish.key))
    have.privileges -= extra
    have.option = want.option


def grant_lines(grants: dict[Target, Held]) -> list[str]:
    """Return one line per target as ``SHOW GRANTS`` would print it, sorted."""
    lines = []
    for target in sorted(grants):
        held = grants[target]
        whole = {(name, None) for name in all_privileges(target.kind, (0,))}
        complete = whole and whole <= held.privileges
        words = privileges_sql({_ALL} if complete else held.privileges).replace("%%", "%")
        lines.append(f"GRANT {words} ON {target}" + (" WITH GRANT OPTION" if held.option else ""))
    return lines
