# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names, targets and privileges of MariaDB."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ValidationError
from ansible_collections.scripts.toolkit.plugins.module_utils._mariadb.names import (
    Target,
    all_privileges,
    check_database,
    check_host,
    check_user,
    check_word,
    parse_privileges,
    parse_target,
    privileges_sql,
    quote,
)

NASTY = st.text(alphabet="ab_%'\"`;. -é$#@()*,", min_size=1, max_size=20)
NAMES = NASTY.filter(lambda name: name.strip() == name and name != "*")


def unquote(text: str) -> tuple[str, str]:
    """Read one backquoted identifier as MariaDB's lexer does; return it and what follows."""
    assert text[0] == "`"
    found, position = "", 1
    while True:
        if text[position : position + 2] == "``":
            found, position = found + "`", position + 2
        elif text[position] == "`":
            return found, text[position + 1 :]
        else:
            found, position = found + text[position], position + 1


def like(pattern: str, text: str) -> bool:
    """Match as MariaDB matches the database of a grant."""
    if not pattern:
        return not text
    if pattern[0] == "%":
        return any(like(pattern[1:], text[start:]) for start in range(len(text) + 1))
    if pattern[0] == "\\" and len(pattern) > 1:
        return text[:1] == pattern[1] and like(pattern[2:], text[1:])
    return bool(text) and (pattern[0] in ("_", text[0])) and like(pattern[1:], text[1:])


@given(NASTY)
def test_a_quoted_name_is_one_identifier(name):
    sent = quote(name) % ()  # as pymysql formats a statement
    assert unquote(sent) == (name, "")


@given(NAMES, st.text(alphabet="ab_%", max_size=6))
def test_a_database_grant_is_for_that_database_only(name, other):
    target = parse_target("`" + name.replace("`", "``") + "`.*")
    assert target.kind == "database"
    assert like(target.database, name)
    assert like(target.database, other) == (other == name)


@given(NAMES, NAMES)
def test_a_target_reads_back_as_the_server_shows_it(database, table):
    quoted = ["`" + name.replace("`", "``") + "`" for name in (database, table)]
    for text in (f"{quoted[0]}.*", f"{quoted[0]}.{quoted[1]}", f"FUNCTION {quoted[0]}.{quoted[1]}"):
        target = parse_target(text)
        assert parse_target(str(target)) == target
    table_target = parse_target(f"{quoted[0]}.{quoted[1]}")
    assert (table_target.database, table_target.name) == (database, table)


def test_targets():
    assert parse_target(" *.* ") == Target("global")
    assert parse_target("shop.*") == Target("database", "shop")
    assert parse_target("shop_1.*") == parse_target(r"shop\_1.*") == Target("database", r"shop\_1")
    assert parse_target("shop_%.*", wildcard=True) == Target("database", "shop_%")
    assert parse_target("shop_1.orders") == Target("table", "shop_1", "orders")
    assert parse_target("table shop.orders") == Target("table", "shop", "orders")
    assert parse_target("procedure shop.tidy") == Target("procedure", "shop", "tidy")
    assert parse_target("Shop.Orders", fold=True) == Target("table", "shop", "orders")
    assert parse_target("function Shop.Total", fold=True) == Target("function", "shop", "Total")


@pytest.mark.parametrize(
    "text",
    ["", "shop", "*", "*.orders", "FUNCTION shop.*", "TABLE *.*", "shop.*; DROP DATABASE shop", "a.b.c", "`a.b",
     "a b.*", "shop.* TO evil", "`a`b`.*", "a\\b.*", "VIEW a.b"],
)  # fmt: skip
def test_what_is_no_target(text):
    with pytest.raises(ValidationError) as caught:
        parse_target(text)
    assert caught.value.hint


def test_a_wildcard_needs_a_database():
    with pytest.raises(ValidationError, match="wildcard"):
        parse_target("shop.orders", wildcard=True)


@pytest.mark.parametrize("name", ["", "a" * 65, "end ", "new\nline", "nul\0", "back\\slash", "smile\U0001f642"])
def test_what_is_no_database(name):
    with pytest.raises(ValidationError, match=r"databases\.name"):
        check_database(name)


@pytest.mark.parametrize("name", ["", "a" * 129, "end ", " start", "new\nline", "smile\U0001f642"])
def test_what_is_no_user(name):
    with pytest.raises(ValidationError, match=r"users\.name"):
        check_user(name)


@pytest.mark.parametrize("host", ["", "a b", "x'@'y", "a\\b", "a`b", "é"])
def test_what_is_no_host(host):
    with pytest.raises(ValidationError, match=r"users\.host"):
        check_host(host)


def test_hosts_are_lower_case():
    assert check_host("Web01.Example.COM") == "web01.example.com"
    assert check_host("192.0.2.0/255.255.255.0") == "192.0.2.0/255.255.255.0"
    assert check_host("::1") == "::1"


@pytest.mark.parametrize("word", ["", "a b", "utf8'", "x;", "a-b"])
def test_what_is_no_word(word):
    with pytest.raises(ValidationError, match=r"users\.plugin"):
        check_word(word, "users.plugin")


def test_privileges_are_normalised():
    everywhere, table = Target("global"), Target("table", "shop", "orders")
    assert parse_privileges([" all  privileges "], everywhere) == {("ALL", None)}
    assert parse_privileges(["select", "ALL"], table) == {("ALL", None)}
    assert parse_privileges(["Replication  Client", "usage"], everywhere) == {("BINLOG MONITOR", None)}
    assert parse_privileges(["delete versioning rows"], table) == {("DELETE HISTORY", None)}
    assert parse_privileges(["select (id,`a, b`,  c)", "INSERT"], table) == {
        ("SELECT", "id"), ("SELECT", "a, b"), ("SELECT", "c"), ("INSERT", None),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("global", "SELCT"),
        ("global", "SELECT (a)"),
        ("global", "SELECT ON *.* TO x; --"),
        ("database", "SUPER"),
        ("table", "LOCK TABLES"),
        ("table", "DELETE (a)"),
        ("table", "SELECT ()"),
        ("table", "SELECT (a b)"),
        ("table", "ALL (a)"),
        ("function", "SELECT"),
        ("table", "GRANT OPTION"),
        ("table", ""),
    ],
)
def test_privileges_that_do_not_exist_there(kind, word):
    with pytest.raises(ValidationError, match="privileges"):
        parse_privileges([word], Target(kind, "shop", "orders"))


def test_privileges_depend_on_the_server():
    target = Target("database", "shop")
    assert parse_privileges(["SHOW CREATE ROUTINE"], target, (11, 8)) == {("SHOW CREATE ROUTINE", None)}
    with pytest.raises(ValidationError, match=r"MariaDB 10\.11"):
        parse_privileges(["SHOW CREATE ROUTINE"], target, (10, 11))
    assert all_privileges("global", (11, 8)) - all_privileges("global", (10, 11)) == {"SHOW CREATE ROUTINE"}


@given(
    st.sets(
        st.one_of(
            st.tuples(st.sampled_from(sorted(all_privileges("table"))), st.none()),
            st.tuples(st.sampled_from(["SELECT", "INSERT", "UPDATE", "REFERENCES"]), NASTY),
        ),
        min_size=1,
    )
)
def test_privileges_read_back(privileges):
    words, rest = [], privileges_sql(privileges) % ()
    # Cut at the commas that are outside parentheses and backquotes.
    depth = quoted = start = 0
    for position, character in enumerate(rest):
        quoted ^= character == "`"
        depth += 0 if quoted else (character == "(") - (character == ")")
        if character == "," and not depth and not quoted:
            words.append(rest[start:position])
            start = position + 1
    words.append(rest[start:])
    assert parse_privileges(words, Target("table", "a", "b")) == privileges
