# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The index of many controllers in a real PostgreSQL: Debian's, as a cluster of its own without a network port."""

from __future__ import annotations

import json

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.scripts.toolkit import cli
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.search.index import catch_up as catch_up_module
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.search.index import postgresql
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.search.index.index import Index
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.search.query import Filters, filters_of
from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import DependencyError, UnavailableError
from ansible_collections.scripts.toolkit.tests.integration.servers import PostgresqlServer, private_directory
from ansible_collections.scripts.toolkit.tests.unit.plugins.module_utils._audit.index_trail import Trail, at, salts

SCHEMA = "scripts_toolkit_audit"
TABLES = ("entry", "word", "context", "journal", "log")


class Cluster(PostgresqlServer):
    def ask(self, sql: str) -> list[tuple]:
        return super().ask(sql, SCHEMA)


@pytest.fixture(scope="module")
def cluster():
    with private_directory("pg") as directory:
        cluster = Cluster(directory)
        cluster.start()
        yield cluster
        cluster.stop()


@pytest.fixture
def database(cluster):
    yield cluster
    with psycopg.connect(cluster.dsn, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")


def found(database, trail, **options):
    with Index(str(trail.directory), database.dsn) as index:
        index.catch_up()
        return list(index.each(filters_of(options)))


def test_the_trails_of_two_controllers_are_searched_together_in_order_of_time(database, tmp_path, monkeypatch):
    clock = at(monkeypatch, 1_700_000_000_000)
    first, second = Trail(tmp_path / "first"), Trail(tmp_path / "second")
    for number in range(3):
        clock.milliseconds += 1000
        first.run({"host": f"web{number}"}, hostname="ctl1")
        clock.milliseconds += 1000
        second.run({"host": f"db{number}"}, hostname="ctl2")
    clock.milliseconds += 1000
    living = second.start(hostname="ctl2")
    living.task(host="db9", msg="disk full")
    found(database, first)
    hosts = [entry["details"]["host"] for entry in found(database, second, event="TASK_RESULT")]
    assert hosts == ["web0", "db0", "web1", "db1", "web2", "db2", "db9"]
    assert len(found(database, first, controller="ctl2", event="TASK_RESULT")) == 4
    assert [entry["index"] for entry in found(database, first, text="disk full")] == [None]
    living.end()
    second.integrate()
    everything = [*first.everything(), *second.everything()]
    assert salts(found(database, second)) == salts(everything)
    assert None not in [entry["index"] for entry in found(database, second)]
    # An auditor's machine has no trail of its own.
    with Index(str(tmp_path / "nowhere"), database.dsn) as index:
        assert index.catch_up() == 0
        assert index.count(Filters()) == len(everything)


def test_entries_of_one_millisecond_on_many_controllers_all_have_their_place(database, tmp_path, monkeypatch):
    at(monkeypatch, 1_700_000_000_000)
    trails = [Trail(tmp_path / str(number)) for number in range(3)]
    for trail in trails:
        trail.run(*({"host": f"web{number}"} for number in range(40)))
        living = trail.start()
        living.task(host="late")
        found(database, trail)
        living.abandon()
    result = found(database, trails[0])
    assert salts(result) == salts([entry for trail in trails for entry in trail.everything()])
    own = {entry["timestamp"] for entry in result if entry["event_type"] == "TASK_RESULT"}
    assert own == {"2023-11-14T22:13:20.000Z"}


@pytest.fixture(scope="module")
def same(cluster, tmp_path_factory):
    """One trail with both kinds of index."""
    trail = Trail(tmp_path_factory.mktemp("same"))
    messages = ("Permission denied", "disk full: /var", "the Größe is full_of it", "a-b-c denied", "1e5 12ab x@y.z", "")
    for run in range(6):
        tasks = []
        for number in range(run, run + 20):
            more = {"path": f"/etc/a{number % 4}[x]%_\\.conf"} if number % 2 else {}
            status, module = ("ok", "failed")[number % 3 == 0], ("ansible.builtin.copy", "a.b.c")[number % 2]
            task = {"host": f"web{number % 5}", "status": status, "module": module, "msg": messages[number % 6]}
            tasks.append({**task, "task": "Größe ändern", **more})
        trail.run(*tasks, user=("alice", "bob")[run % 2], script=f"/srv/{run % 3}/site.yml")
    cluster.ask("CREATE DATABASE same")
    dsn = cluster.dsn.replace("dbname=postgres", "dbname=same")
    with Index(str(trail.directory)) as one, Index(str(trail.directory), dsn) as other:
        one.catch_up()
        other.catch_up()
        yield one, other


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "host": st.sampled_from(["web1", "web*", "?eb2", "none", ["web1", "web3"]]),
        "status": st.sampled_from(["ok", "failed"]),
        "module": st.sampled_from(["copy", "a.*", "ansible.builtin.copy"]),
        "path": st.sampled_from(["/etc/", "/etc/a1[x]%_\\.conf", "*[x]*", "*%_*", "/etc/a?[x]*"]),
        "user": st.sampled_from(["alice", "bo*"]),
        "script": st.sampled_from(["site.yml", "/srv/1/*"]),
        "event": st.sampled_from(["task-result", "EXECUTION_*"]),
        "text": st.sampled_from(
            [
                "denied",
                '"disk full"',
                "den*",
                "-denied",
                "größe",
                "grosse",
                "GROSSE -disk",
                "full_of",
                "full var",
                "a b",
                '"b c denied"',
                "1e5",
                "12*",
                "y",
                "ande*",
                "it's a denied",
            ]
        ),
    },
)


@settings(max_examples=80, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(OPTIONS, st.integers(1, 30))
def test_both_kinds_of_index_answer_the_same(same, options, size):
    filters = filters_of(options)
    one, other = same
    expected = list(one.each(filters))
    assert list(other.each(filters)) == expected
    assert other.count(filters) == len(expected)
    for field in ("status", "script", "path"):
        assert other.counts(field, filters) == one.counts(field, filters)
    assert other.search(filters, size) == one.search(filters, size)
    assert other.span(filters) == one.span(filters)


def test_runs_are_named_as_in_the_file(same):
    one, other = same
    for name in ("last", "last~5"):
        assert one.run(name) == other.run(name)
        assert other.run(one.run(name)[-12:]) == one.run(name)


def test_words_and_rows_that_are_erased_or_pruned_are_gone(database, tmp_path):
    trail = Trail(tmp_path)
    trail.run({"host": "canary-host", "msg": "canarymessage", "path": "/home/canary-path"}, {"host": "web1"})
    found(database, trail)
    index = next(entry["index"] for entry in trail.log() if entry["details"].get("host") == "canary-host")
    with Index(str(tmp_path), database.dsn) as opened:
        with opened.store.transaction():
            opened.store.erase([index])
        opened.store.settle()
        assert opened.count(filters_of({"text": "canarymessage"})) == 0
        assert opened.count(filters_of({"host": "web1"})) == 1
    assert "canary" not in json.dumps([database.ask(f"SELECT * FROM {table}") for table in TABLES], default=str)
    with Index(str(tmp_path), database.dsn) as opened:
        with opened.store.transaction():
            opened.store.prune(index + 1)
        assert min(entry["index"] for entry in opened.each(Filters())) == index + 1


def test_a_connection_that_breaks_in_the_middle_loses_and_doubles_nothing(database, tmp_path, monkeypatch):
    monkeypatch.setattr(catch_up_module, "BATCH", 10)
    trail = Trail(tmp_path)
    trail.run(*({"host": f"web{number}"} for number in range(55)))
    with Index(str(tmp_path), database.dsn) as index:
        calls = []
        insert = index.store.insert

        def cut(rows):
            calls.append(len(rows))
            insert(rows)
            if len(calls) == 3:
                process = index.store.database.info.backend_pid
                database.ask(f"SELECT pg_terminate_backend({process})")

        monkeypatch.setattr(index.store, "insert", cut)
        with pytest.raises(UnavailableError, match="PostgreSQL"):
            index.catch_up()
    assert database.ask("SELECT count(*) FROM entry") == [(20,)]
    assert salts(found(database, trail)) == salts(trail.log())


def test_building_one_log_anew_leaves_the_others(database, tmp_path):
    first, second = Trail(tmp_path / "first"), Trail(tmp_path / "second")
    first.run({"host": "web1"})
    second.run({"host": "db1"})
    found(database, first)
    found(database, second)
    with Index(str(first.directory), database.dsn) as index:
        index.rebuild()
        assert index.count(filters_of({"host": ["web1", "db1"]})) == 1
        index.catch_up()
        assert index.count(filters_of({"host": ["web1", "db1"]})) == 2


def test_a_search_walks_an_index(database, tmp_path):
    trail = Trail(tmp_path)
    trail.run(*({"host": f"web{number % 50}", "msg": f"word{number}"} for number in range(3000)))
    with Index(str(tmp_path), database.dsn) as index:
        index.catch_up()
        index.store.database.execute("VACUUM ANALYZE entry")
        for options, name in (
            ({"host": "web7"}, "entry_host"),
            ({"text": "word77"}, "entry_words"),
            ({}, "entry_pkey"),
        ):
            selection = index.store.select(filters_of(options), None, True, 101)
            plan = "\n".join(row[0] for row in index.store.query(f"EXPLAIN {selection.sql}", selection.values))
            assert name in plan
            assert "Seq Scan" not in plan


def test_the_command_searches_there(database, tmp_path, monkeypatch, capsys):
    trail = Trail(tmp_path)
    trail.run({"host": "web1", "msg": "disk full"})
    monkeypatch.setenv("SCRIPTS_TOOLKIT_AUDIT_INDEX", database.dsn)
    assert cli.main(["audit", "search", "disk", "--log-directory", str(tmp_path), "--json"]) == 0
    assert [entry["details"]["host"] for entry in json.loads(capsys.readouterr().out)["entries"]] == ["web1"]
    assert not (tmp_path / "index.sqlite").exists()


def test_a_server_that_is_away_or_a_library_that_is_missing_is_told(database, tmp_path, monkeypatch, capsys):
    trail = Trail(tmp_path)
    trail.run({"host": "web1"})
    monkeypatch.setenv("SCRIPTS_TOOLKIT_AUDIT_INDEX", "postgresql://nobody:canary@127.0.0.1:9/none")
    assert cli.main(["audit", "search", "--log-directory", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert "The index in PostgreSQL does not work" in told
    assert "canary" not in told
    monkeypatch.setattr(postgresql, "HAS_PSYCOPG", False)
    with pytest.raises(DependencyError, match="psycopg"):
        Index(str(tmp_path), database.dsn)
