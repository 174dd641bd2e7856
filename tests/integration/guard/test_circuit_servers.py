# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Circuits in real servers, Debian's Redis and PostgreSQL, and in the file: one probe among many processes, probes that
are killed, servers that go away, and passwords that nobody sees."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import psycopg
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import (
    DependencyError,
    PermissionDenied,
    UnavailableError,
    ValidationError,
)
from ansible_collections.scripts.toolkit.plugins.module_utils._guard import circuit_postgresql, circuit_redis
from ansible_collections.scripts.toolkit.plugins.module_utils._guard.circuit import (
    Circuit,
    CircuitOpen,
    Policy,
    open_store,
)
from ansible_collections.scripts.toolkit.plugins.module_utils._guard.circuit_admin import look, set_circuits
from ansible_collections.scripts.toolkit.tests.integration.servers import (
    PostgresqlServer,
    RedisServer,
    private_directory,
)

ROOT = Path(__file__).resolve().parents[3]
ONE_PROBE = ROOT / "tests" / "benchmarks" / "guard" / "one_probe.py"
PATIENCE = 20
SOON = 0.05


@pytest.fixture(scope="module")
def redis_server():
    with private_directory("redis") as directory:
        server = RedisServer(directory)
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope="module")
def postgresql_server():
    with private_directory("pg") as directory:
        server = PostgresqlServer(directory)
        server.start()
        yield server
        server.stop()


@pytest.fixture(params=["redis", "postgresql"])
def server(request):
    return request.getfixturevalue(f"{request.param}_server")


@pytest.fixture
def url(server):
    yield server.url
    if isinstance(server, PostgresqlServer):
        server.ask("DROP SCHEMA IF EXISTS scripts_toolkit_guard CASCADE")
    else:
        redis.Redis.from_url(server.url).flushdb()


def circuit(url: str, **policy) -> Circuit:
    return Circuit(open_store(url, "/nowhere"), "api", Policy(**{"threshold": 1, "open_for": SOON, **policy}))


def opened(url: str, **policy) -> Circuit:
    found = circuit(url, **policy)
    assert [each["to"] for each in found.leave(found.enter(), False)] == ["open"]
    return found


def probe(found: Circuit):
    """Return the entry of a probe as soon as one is let through."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            entry = found.enter()
        except CircuitOpen:
            assert time.monotonic() < deadline
            time.sleep(SOON)
        else:
            assert entry.state == "half_open"
            return entry


@pytest.mark.parametrize(("backend", "trials"), [("sqlite", 100), ("redis", 60), ("postgresql", 30)])
def test_exactly_one_of_64_processes_becomes_the_probe(backend, trials):
    command = [sys.executable, str(ONE_PROBE), "--backend", backend, "--processes", "64", "--trials", str(trials)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["admitted"] == {"1": trials}


def test_controllers_share_a_circuit_and_go_through_its_states(url):
    here, there = opened(url, open_for=3600), circuit(url, open_for=3600)
    with pytest.raises(CircuitOpen) as caught:
        there.enter()
    assert 3590 < caught.value.retry_after <= 3600
    assert there.peek()["state"] == "open"
    here.policy = there.policy = Policy(threshold=1, open_for=SOON)
    entry = probe(there)
    with pytest.raises(CircuitOpen, match="waits for the result of a probe"):
        here.enter()
    assert [each["to"] for each in there.leave(entry, True)] == ["closed"]
    assert here.enter().state == "closed"


def test_what_is_well_is_not_written(server, url):
    found = circuit(url)
    for _time in range(3):
        assert found.leave(found.enter(), True) == []
    assert found.peek()["state"] == "closed"
    if isinstance(server, PostgresqlServer):
        assert server.ask("SELECT to_regnamespace('scripts_toolkit_guard') IS NULL") == [(True,)]
    else:
        assert redis.Redis.from_url(server.url).dbsize() == 0


def test_the_server_s_clock_holds(url):
    """A controller whose clock is wrong by years opens for no longer, and no shorter, than others do."""
    wrong = Circuit(open_store(url, "/nowhere"), "api", Policy(threshold=1, open_for=3600), lambda: 4e9)
    wrong.leave(wrong.enter(), False)
    seen = circuit(url, open_for=3600).peek()
    since = datetime.fromisoformat(seen["since"].replace("Z", "+00:00")).timestamp()
    assert abs(since - time.time()) < 3600
    assert seen["permits"] == 0


def test_the_place_of_a_probe_that_was_killed_is_free_when_its_lease_ends(url):
    found = opened(url, probe_timeout=2)
    time.sleep(SOON)
    program = (
        "import os, signal, sys\n"
        "from ansible_collections.scripts.toolkit.plugins.module_utils._guard.circuit import *\n"
        "policy = Policy(threshold=1, open_for=0.05, probe_timeout=2)\n"
        "entry = Circuit(open_store(sys.argv[1], '/nowhere'), 'api', policy).enter()\n"
        "os.kill(os.getpid(), signal.SIGKILL if entry.state == 'half_open' else signal.SIGTERM)\n"
    )
    assert subprocess.run([sys.executable, "-c", program, url], check=False).returncode == -signal.SIGKILL
    with pytest.raises(CircuitOpen):
        found.enter()
    assert [each["to"] for each in found.leave(probe(found), True)] == ["closed"]


def test_a_process_that_is_killed_while_it_changes_a_circuit_leaves_it_as_it_was(url):
    opened(url, open_for=3600)
    program = (
        "import os, signal, sys, time\n"
        "from ansible_collections.scripts.toolkit.plugins.module_utils._guard.circuit import open_store\n"
        "def decide(text, now):\n"
        "    if decide.asked:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    decide.asked = True\n"
        "    return 'torn', None\n"
        "decide.asked = False\n"
        "open_store(sys.argv[1], '/nowhere').change('api', decide, time.time)\n"
    )
    assert subprocess.run([sys.executable, "-c", program, url], check=False).returncode == -signal.SIGKILL
    assert circuit(url, open_for=3600).peek()["state"] == "open"
    assert set_circuits(open_store(url, "/nowhere"), [{"name": "api", "state": "closed"}], False).changed


def test_calls_counted_by_many_processes_at_once_are_all_counted(url):
    program = (
        "import sys\n"
        "from ansible_collections.scripts.toolkit.plugins.module_utils._guard.circuit import *\n"
        "policy = Policy(failure_ratio=1.0, minimum_calls=1000, period=3600)\n"
        "circuit = Circuit(open_store(sys.argv[1], '/nowhere'), 'api', policy)\n"
        "for number in range(25):\n"
        "    circuit.leave(circuit.enter(), number % 5 > 0)\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", program, url]) for _time in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    seen = circuit(url, failure_ratio=1.0, period=3600).peek()
    assert (seen["calls"], seen["failures"]) == (100, 20)


TEXTS = st.none() | st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1)
STEPS = st.lists(st.tuples(st.sampled_from(["a", "b*", "ü"]), TEXTS), max_size=12)


@settings(max_examples=30, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_all_stores_keep_what_they_are_given(redis_server, postgresql_server, tmp_path_factory, steps):
    stores = [
        open_store(None, str(tmp_path_factory.mktemp("state"))),
        open_store(redis_server.url, "/nowhere"),
        open_store(postgresql_server.url, "/nowhere"),
    ]
    for store in stores:
        kept = {}
        for name, text in steps:
            found = store.change(name, lambda found, now, text=text: (text, found), time.time)
            assert found == kept.get(name)
            kept[name] = text
            kept = {key: value for key, value in kept.items() if value is not None}
            assert store.read(None, time.time)[0] == kept
            assert store.read(name, time.time)[0] == {key: kept[key] for key in kept if key == name}
        for name in list(kept):
            store.change(name, lambda found, now: (None, None), time.time)
        store.release()


def test_a_server_that_goes_away_in_between_fails_or_is_bypassed_and_works_again():
    with private_directory("redis") as directory:
        server = RedisServer(directory)
        server.start()
        strict, lenient = circuit(server.url), circuit(server.url, on_backend_error="bypass")
        entry = strict.enter()
        server.stop()
        with pytest.raises(UnavailableError, match=r"redis://\*\*\*@127.0.0.1:\d+/0 can't be asked") as caught:
            strict.leave(entry, False)
        assert caught.value.kind == "unavailable"
        assert not isinstance(caught.value, CircuitOpen)
        assert "on_backend_error: bypass" in caught.value.hint
        with pytest.raises(UnavailableError):
            strict.enter()
        bypassed = lenient.enter()
        assert bypassed.state == "bypassed"
        assert lenient.leave(bypassed, False) == []
        assert len(lenient.warnings) == 1
        assert "is bypassed, since its state can't be used: redis://***@127.0.0.1" in lenient.warnings[0]
        server.start()
        assert strict.enter().state == "closed"
        server.stop()


def test_a_server_that_is_stopped_is_not_waited_for_for_ever():
    with private_directory("redis") as directory:
        server = RedisServer(directory)
        server.start()
        found = circuit(server.url)
        found.enter()
        server.process.send_signal(signal.SIGSTOP)
        with pytest.raises(UnavailableError, match=r"[Tt]ime"):
            found.enter()
        server.stop()


def test_a_database_that_goes_away_in_between_fails_and_works_again():
    with private_directory("pg") as directory:
        server = PostgresqlServer(directory)
        server.start()
        found = circuit(server.url)
        entry = found.enter()
        server.stop()
        with pytest.raises(UnavailableError, match=r"postgresql://\*\*\*@/postgres can't be asked"):
            found.leave(entry, False)
        server.start()
        assert found.enter().state == "closed"
        server.stop()


def test_passwords_are_in_no_error(redis_server):
    wrong = redis_server.url.replace("canary-redis", "canary-wrong")
    errors = []
    for backend in (
        wrong,
        "redis://canary-user:canary%2Fquoted@127.0.0.1:9/0",
        "redis://127.0.0.1:9/0?password=canary-query",
        f"redis://:canary@127.0.0.1:{redis_server.port}/0?unknown=canary",
        "postgresql://canary-user:canary%2Fquoted@127.0.0.1:9/none",
        "postgresql://127.0.0.1:9/none?password=canary-query",
        "postgresql://127.0.0.1/none?unknown=canary",
        "postgresql://canary:canary@nowhere.invalid/none",
        "redis://:canary/1@localhost",
    ):
        with pytest.raises((UnavailableError, PermissionDenied, ValidationError)) as caught:
            look(open_store(backend, "/nowhere"), [])
        errors.append(json.dumps(caught.value.as_result()) + repr(caught.value) + repr(caught.value.__cause__))
    assert len(errors) == 9
    assert not [error for error in errors if "canary" in error]


def test_a_library_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(circuit_redis, "HAS_REDIS", False)
    monkeypatch.setattr(circuit_postgresql, "HAS_PSYCOPG", False)
    for backend, library in (("rediss://localhost", "redis"), ("postgres://localhost", "psycopg")):
        with pytest.raises(DependencyError, match=library) as caught:
            open_store(backend, "/nowhere")
        assert "pip install" in caught.value.hint


def test_nothing_of_a_server_is_loaded_for_the_file():
    program = (
        "import sys\n"
        "from ansible_collections.scripts.toolkit.plugins.module_utils._guard.circuit import open_store\n"
        "open_store(None, '/nowhere')\n"
        "assert not {'redis', 'psycopg'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_someone_without_the_right_to_make_tables_uses_those_that_are_there(postgresql_server):
    server = postgresql_server
    opened(server.url, open_for=3600)
    server.ask("CREATE ROLE guest LOGIN")
    server.ask("GRANT USAGE ON SCHEMA scripts_toolkit_guard TO guest")
    server.ask("GRANT SELECT, INSERT, UPDATE, DELETE ON scripts_toolkit_guard.circuit TO guest")
    guest = server.url.replace(f"//{server.user}@", "//guest@")
    assert set_circuits(open_store(guest, "/nowhere"), [{"name": "api", "state": "absent"}], False).changed
    server.ask("DROP SCHEMA scripts_toolkit_guard CASCADE")
    outcomes = set_circuits(open_store(guest, "/nowhere"), [{"name": "api", "state": "disabled"}], False)
    assert outcomes.result()["error"]["kind"] == "unavailable"
    assert "permission denied" in outcomes.result()["msg"]


def test_a_stopped_process_holds_up_the_others_only_for_a_while(postgresql_server):
    """The lock of a row is taken from a session that does nothing within its transaction."""
    url = postgresql_server.url
    opened(url, open_for=3600)
    program = (
        "import os, signal, sys, time\n"
        "from ansible_collections.scripts.toolkit.plugins.module_utils._guard.circuit import open_store\n"
        "def decide(text, now):\n"
        "    if decide.asked:\n"
        "        os.kill(os.getpid(), signal.SIGSTOP)\n"
        "    decide.asked = True\n"
        "    return 'torn', None\n"
        "decide.asked = False\n"
        "open_store(sys.argv[1], '/nowhere').change('api', decide, time.time)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, url], stderr=subprocess.PIPE)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    store = open_store(url, "/nowhere")
    deadline = time.monotonic() + 60
    while not set_circuits(store, [{"name": "api", "state": "closed"}], False).changed:
        assert time.monotonic() < deadline
    process.send_signal(signal.SIGCONT)
    assert b"UnavailableError" in process.communicate()[1]
    assert circuit(url).peek()["state"] == "closed"


def test_the_table_is_made_once_by_many_at_once(postgresql_server):
    with psycopg.connect(postgresql_server.dsn, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS scripts_toolkit_guard CASCADE")
    program = (
        "import sys, time\n"
        "from ansible_collections.scripts.toolkit.plugins.module_utils._guard.circuit import open_store\n"
        "open_store(sys.argv[1], '/nowhere').change(sys.argv[2], lambda text, now: ('{}', None), time.time)\n"
    )
    argv = [sys.executable, "-c", program, postgresql_server.url]
    processes = [subprocess.Popen([*argv, str(number)]) for number in range(8)]
    assert [process.wait() for process in processes] == [0] * 8
    assert postgresql_server.ask("SELECT count(*) FROM scripts_toolkit_guard.circuit") == [(8,)]


def test_a_run_shows_and_records_no_password(redis_server, tmp_path):
    """The right password, which works, and a wrong one, which Redis refuses; as loudly as Ansible can."""
    playbook = tmp_path / "play.yml"
    playbook.write_text(
        "- hosts: localhost\n"
        "  gather_facts: false\n"
        "  tasks:\n"
        "    - scripts.toolkit.circuit_breaker:\n"
        "        backend: \"{{ lookup('ansible.builtin.env', 'BACKEND') }}\"\n"
        "        circuits: [{name: api, state: closed}]\n",
        encoding="utf-8",
    )
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT.parents[2]),
        "ANSIBLE_CALLBACKS_ENABLED": "scripts.toolkit.audit",
        "SCRIPTS_TOOLKIT_AUDIT_LOG_DIRECTORY": str(tmp_path / "audit"),
        "SCRIPTS_TOOLKIT_AUDIT_METRICS_PATH": str(tmp_path / "metrics"),
        "HOME": str(tmp_path),
    }
    command = [Path(sys.executable).with_name("ansible-playbook"), "-i", "localhost,", "-vvvv", str(playbook)]
    for backend, status in ((redis_server.url, 0), (redis_server.url.replace("canary-redis", "canary-wrong"), 2)):
        done = subprocess.run(
            command, env={**environment, "BACKEND": backend}, capture_output=True, text=True, check=False
        )
        assert done.returncode == status, done.stdout + done.stderr
        assert "canary" not in done.stdout + done.stderr
    assert "permission" in done.stdout
    trail = b"".join(path.read_bytes() for path in (tmp_path / "audit").rglob("*") if path.is_file())
    assert b"circuit_breaker" in trail
    assert b"canary" not in trail
