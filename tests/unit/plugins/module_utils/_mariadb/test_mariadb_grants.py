# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is granted and revoked, against a model of the server that knows nothing of the planner."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ConflictError
from ansible_collections.scripts.toolkit.plugins.module_utils._mariadb.grants import grant_lines, plan_grants
from ansible_collections.scripts.toolkit.plugins.module_utils._mariadb.names import Target, all_privileges
from ansible_collections.scripts.toolkit.plugins.module_utils._mariadb.state import Account, Held, State
from ansible_collections.scripts.toolkit.plugins.module_utils._mariadb.wishes import GrantWish, UserWish

VERSION = (11, 8)
STATEMENT = re.compile(r"(GRANT|REVOKE) (.*?) ON (\S+) (?:TO|FROM) %s@%s( WITH GRANT OPTION)?")
TARGETS = {"*.*": Target("global"), "`shop`.*": Target("database", "shop"), "`shop`.`t`": Target("table", "shop", "t")}
WRITTEN = {"*.*": "*.*", "`shop`.*": "shop.*", "`shop`.`t`": "shop.t"}


class ModelServer:
    """Grants as MariaDB keeps them."""

    def __init__(self, grants):
        self.grants = {target: Held(set(held.privileges), held.option) for target, held in grants.items()}

    def run(self, statement):
        verb, words, where, option = STATEMENT.fullmatch(statement).groups()
        target = TARGETS[where]
        held = self.grants.setdefault(target, Held())
        for word in re.findall(r"[A-Z_]+(?: [A-Z_]+)*(?: \([^)]*\))?", words):
            name, _space, columns = word.strip().partition(" (")
            pairs = (
                {(name, column.strip("`")) for column in columns.rstrip(")").split(", ")} if columns else {(name, None)}
            )
            if name == "ALL PRIVILEGES":
                pairs = {(one, None) for one in all_privileges(target.kind, VERSION)}
            if name == "GRANT OPTION":
                assert verb == "REVOKE"
                held.option = False
            elif verb == "GRANT":
                held.privileges |= pairs - {("USAGE", None)}
            else:
                gone = {one for one, column in pairs if column is None}
                held.privileges = {pair for pair in held.privileges - pairs if pair[0] not in gone}
        held.option = held.option or bool(option)

    def held(self):
        return {target: held for target, held in self.grants.items() if held.privileges or held.option}


def privileges(kind):
    whole = st.tuples(st.sampled_from(sorted(all_privileges(kind, VERSION))), st.none())
    if kind != "table":
        return st.sets(whole, max_size=6)
    column = st.tuples(st.sampled_from(["SELECT", "INSERT", "UPDATE"]), st.sampled_from(["a", "b"]))
    return st.sets(st.one_of(whole, column), max_size=6)


@st.composite
def holdings(draw):
    found = {}
    for where in draw(st.sets(st.sampled_from(sorted(TARGETS)))):
        target = TARGETS[where]
        if draw(st.integers(0, 4)) == 0:
            found[target] = Held({(name, None) for name in all_privileges(target.kind, VERSION)}, draw(st.booleans()))
        else:
            found[target] = Held(draw(privileges(target.kind)), draw(st.booleans()))
    return {target: held for target, held in found.items() if held.privileges or held.option}


@st.composite
def wishes(draw):
    grants = []
    for where in sorted(draw(st.sets(st.sampled_from(sorted(TARGETS))))):
        pairs = draw(privileges(TARGETS[where].kind))
        words = [name if column is None else f"{name} ({column})" for name, column in sorted(pairs, key=str)]
        words = draw(st.sampled_from([words, ["ALL"]]))
        grants.append(GrantWish(WRITTEN[where], tuple(words), draw(st.booleans()), False))
    return tuple(grants)


def user(grants, exclusive=True):
    return UserWish("app", "localhost", None, None, grants, exclusive, None, True)


def wanted(grants):
    """Return what the grants mean, apart from the code under test."""
    found = {}
    for grant in grants:
        target = next(TARGETS[where] for where, text in WRITTEN.items() if text == grant.object)
        pairs = set()
        for word in grant.privileges:
            name, _space, column = word.rstrip(")").partition(" (")
            pairs |= (
                {(one, None) for one in all_privileges(target.kind, VERSION)}
                if name == "ALL"
                else {(name, column or None)}
            )
        found[target] = (pairs, grant.option)
    return found


@given(holdings(), wishes(), st.booleans())
def test_the_plan_leads_to_the_wish_and_then_to_nothing(before, grants, exclusive):
    state = State(version=VERSION)
    plan = plan_grants(user(grants, exclusive), Account([], False, before), state)
    server = ModelServer(before)
    for statement, arguments in plan.statements:
        assert arguments == ("app", "localhost")
        server.run(statement)
    after = server.held()
    assert after == plan.after
    for target, (pairs, option) in wanted(grants).items():
        held = after.get(target, Held())
        assert pairs <= held.privileges
        assert held.option or not option
    if exclusive:
        for target, held in after.items():
            pairs, option = wanted(grants).get(target, (set(), False))
            whole = {name for name, column in pairs if column is None}
            assert all(pair in pairs or pair[0] in whole for pair in held.privileges)
            assert held.option == option
    else:
        for target, held in before.items():
            assert held.privileges <= after[target].privileges
        assert not plan.revoked
    again = plan_grants(user(grants, exclusive), Account([], False, after), state)
    assert again.statements == []


@given(holdings(), wishes())
def test_nothing_wanted_and_held_is_missing_in_between(before, grants):
    plan = plan_grants(user(grants), Account([], False, before), State(version=VERSION))
    server = ModelServer(before)
    kept = {
        target: {pair for pair in held.privileges if pair[1] is None} & wanted(grants).get(target, (set(), False))[0]
        for target, held in before.items()
    }
    for statement, _arguments in plan.statements:
        server.run(statement)
        for target, pairs in kept.items():
            assert pairs <= server.grants[target].privileges


def test_grants_that_are_not_set_are_left_alone():
    before = {Target("global"): Held({("SUPER", None)})}
    plan = plan_grants(user(None), Account([], False, before), State(version=VERSION))
    assert plan.statements == []
    assert plan.after == before


def test_a_pattern_that_only_looks_the_same_is_replaced():
    before = {Target("database", "app_1"): Held({("SELECT", None)})}
    grants = (GrantWish("app_1.*", ("SELECT",), False, False),)
    plan = plan_grants(user(grants), Account([], False, before), State(version=VERSION))
    assert [statement for statement, _arguments in plan.statements] == [
        r"GRANT SELECT ON `app\_1`.* TO %s@%s",
        "REVOKE SELECT ON `app_1`.* FROM %s@%s",
    ]


def test_a_newer_server_may_know_more_privileges_than_all():
    held = Held({(name, None) for name in all_privileges("database", VERSION)} | {("TIME TRAVEL", None)})
    grants = (GrantWish("shop.*", ("ALL",), False, False),)
    plan = plan_grants(user(grants), Account([], False, {Target("database", "shop"): held}), State(version=(13, 0)))
    assert plan.statements == []


def test_one_target_with_and_without_grant_option():
    grants = (GrantWish("shop.*", ("SELECT",), True, False), GrantWish("shop.*", ("INSERT",), False, False))
    with pytest.raises(ConflictError, match="grant_option"):
        plan_grants(user(grants), None, State(version=VERSION))


def test_lines_read_like_show_grants():
    lines = grant_lines(
        {
            Target("global"): Held(set(), True),
            Target("database", r"a\_%"): Held({(name, None) for name in all_privileges("database", VERSION)}),
            Target("table", "a", "t`"): Held({("SELECT", "x"), ("INSERT", None)}),
        }
    )
    assert lines == [
        r"GRANT ALL PRIVILEGES ON `a\_%`.*",
        "GRANT USAGE ON *.* WITH GRANT OPTION",
        "GRANT INSERT, SELECT (`x`) ON `a`.`t```",
    ]
