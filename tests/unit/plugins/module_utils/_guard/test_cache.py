# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cache under what happens to it: crowds, kill -9, full disks, damage, clocks."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import (
    IntegrityError,
    PermissionDenied,
    TimeoutExpired,
    ToolkitError,
    UnavailableError,
    UnsafeError,
    ValidationError,
)
from ansible_collections.scripts.toolkit.plugins.module_utils._guard.cache import Claim, Hit, ResultCache, cache_key

ABOUT = {"module": "ansible.builtin.setup", "host": "web01", "name": "Gather facts"}
RESULT = {"changed": False, "ansible_facts": {"kernel": "6.1", "cores": [0, 1], "load": 0.5, "none": None}}
KEY = "a" * 64


class Clock:
    def __init__(self) -> None:
        self.seconds = 1_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def cache(directory: Path, clock: Clock) -> ResultCache:
    return ResultCache(str(directory), now=clock)


def ask(cache: ResultCache, key: str = KEY, ttl: float = 60, wait: float = 60) -> Hit | Claim:
    return cache.claim(key, ttl, wait, ABOUT)


def key_of(cache: ResultCache) -> str:
    """Return a key that depends on the cache's secret, so that each of a crowd must have the same."""
    return cache_key(cache.secret, "m", {}, "web01", "1", {})


def keep(cache: ResultCache, key: str = KEY, ttl: float = 60, result: dict | None = None) -> None:
    claim = ask(cache, key, ttl)
    assert isinstance(claim, Claim)
    claim.store(RESULT if result is None else result)


def start(work: Callable[[], None]) -> int:
    """Run ``work`` in a forked process and return its id."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException:
            traceback.print_exc(file=sys.__stderr__)
            os._exit(1)
    return child


def end(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


class Crowd:
    """Processes that begin at once, want the same, and note each computation by a byte in a file."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.computed = directory.with_name(f"{directory.name}.computed")
        self.computed.write_bytes(b"")
        self.gate, self._open = os.pipe()
        self.children: list[int] = []

    def add(self, count: int, result: dict | None = None) -> None:
        for _time in range(count):
            self.children.append(start(lambda: self._ask(RESULT if result is None else result)))

    def _ask(self, result: dict) -> None:
        os.close(self._open)
        os.read(self.gate, 1)
        cache = ResultCache(str(self.directory))
        found = ask(cache, key_of(cache))
        if isinstance(found, Claim):
            self.note()
            found.store(result)
        else:
            assert found.result == result

    def note(self) -> None:
        descriptor = os.open(self.computed, os.O_WRONLY | os.O_APPEND)
        os.write(descriptor, b".")
        os.close(descriptor)

    def go(self) -> list[int]:
        """Let them begin, and return how they ended."""
        os.close(self._open)
        os.close(self.gate)
        return [end(child) for child in self.children]

    @property
    def computations(self) -> int:
        return self.computed.stat().st_size


def test_what_is_computed_once_is_found_again(cache: ResultCache, clock: Clock, directory: Path) -> None:
    with ask(cache) as claim:
        claim.store(
            {**RESULT, "invocation": {"module_args": {}}, "_ansible_parsed": True, "_ansible_verbose_override": 1}
        )
        claim.store({"other": True})
    clock.seconds += 59.5
    again = ask(ResultCache(str(directory), now=clock))
    assert again == Hit({**RESULT, "_ansible_verbose_override": 1}, 59.5, again.waited)
    assert [(entry.host, entry.hits, entry.fresh) for entry in cache.results.entries()] == [("web01", 1, True)]
    clock.seconds += 0.5
    assert isinstance(ask(cache), Claim)


def test_the_shorter_ttl_counts(cache: ResultCache, clock: Clock) -> None:
    keep(cache, ttl=60)
    clock.seconds += 30
    assert isinstance(ask(cache, ttl=31), Hit)
    with ask(cache, ttl=30) as claim:
        assert isinstance(claim, Claim)
    clock.seconds += 30
    assert isinstance(ask(cache, ttl=600), Claim)


def test_all_files_are_private(cache: ResultCache, directory: Path) -> None:
    assert len(cache.secret) == 32
    keep(cache)
    assert {path.name for path in directory.iterdir()} >= {"cache.sqlite", "claims.lock", "secret"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {0o600}
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


@pytest.mark.parametrize("trial", range(4))
def test_a_crowd_computes_once(directory: Path, trial: int) -> None:
    """Of 64 processes that also make the cache at the same moment."""
    crowd = Crowd(directory)
    crowd.add(64)
    assert crowd.go() == [0] * 64
    assert crowd.computations == 1
    (entry,) = ResultCache(str(directory)).results.entries()
    assert entry.hits == 63


def test_kill_9_hands_over_to_exactly_one(directory: Path) -> None:
    claimed, tell = os.pipe()
    cache = ResultCache(str(directory))
    key = key_of(cache)

    def hang() -> None:
        claim = ask(ResultCache(str(directory)), key)
        assert isinstance(claim, Claim)
        os.write(tell, b".")
        signal.pause()

    for _time in range(5):
        holder = start(hang)
        os.read(claimed, 1)
        crowd = Crowd(directory)
        crowd.add(12)
        with pytest.raises(TimeoutExpired, match=r"did not end within 0\.1 seconds"):
            ask(cache, key, wait=0.1)
        os.kill(holder, signal.SIGKILL)
        assert end(holder) == -signal.SIGKILL
        assert crowd.go() == [0] * 12
        assert crowd.computations == 1
        cache.results.remove(lambda entries: [entry.key for entry in entries], invalidate=True)
        cache.close()  # SQLite's locks are wrong in a process that was forked while a connection was open


def test_a_claim_given_back_goes_to_one_of_those_who_wait(cache: ResultCache, directory: Path) -> None:
    claim = ask(cache, key_of(cache))
    cache.close()
    crowd = Crowd(directory)
    crowd.add(8, {"by": "another"})
    with contextlib.suppress(ZeroDivisionError), claim:
        raise ZeroDivisionError
    claim.release()
    claim.store(RESULT)
    assert crowd.go() == [0] * 8
    assert crowd.computations == 1


def test_a_stopped_process_keeps_its_claim(cache: ResultCache, directory: Path) -> None:
    claimed, tell = os.pipe()

    def compute() -> None:
        claim = ask(ResultCache(str(directory)))
        os.write(tell, b".")
        os.kill(os.getpid(), signal.SIGSTOP)
        claim.store(RESULT)

    child = start(compute)
    os.read(claimed, 1)
    os.waitpid(child, os.WUNTRACED)
    with pytest.raises(TimeoutExpired):
        ask(cache, wait=0)
    os.kill(child, signal.SIGCONT)
    assert ask(ResultCache(str(directory))).result == RESULT
    assert end(child) == 0


def test_threads_and_objects_of_one_process_exclude_each_other(cache: ResultCache, directory: Path) -> None:
    other = ResultCache(str(directory / ".." / "cache"))
    first, second = ask(cache), ask(other, key="b" * 64)
    with pytest.raises(TimeoutExpired):
        ask(other, wait=0)
    second.release()  # closes no descriptor that holds the first
    with pytest.raises(TimeoutExpired):
        ask(other, wait=0)
    cache.close()
    other.close()
    assert end(start(lambda: ask(ResultCache(str(directory)), wait=0))) == 1
    first.release()
    claims: list[Hit | Claim] = []

    def once() -> None:
        own = ResultCache(str(directory))
        found = ask(own)
        claims.append(found)
        if isinstance(found, Claim):
            found.store(RESULT)

    threads = [threading.Thread(target=once) for _time in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(type(found).__name__ for found in claims) == ["Claim"] + ["Hit"] * 7


def test_a_forked_process_has_not_the_claim_of_its_parent(cache: ResultCache, directory: Path) -> None:
    claim = ask(cache)

    def child() -> None:
        claim.store({"by": "the child"})
        claim.release()
        with pytest.raises(TimeoutExpired):
            ask(ResultCache(str(directory)), wait=0)

    cache.close()
    assert end(start(child)) == 0
    claim.store(RESULT)
    assert ask(cache).result == RESULT


def test_what_was_invalidated_meanwhile_is_not_kept(cache: ResultCache, directory: Path) -> None:
    claim = ask(cache)
    other = ResultCache(str(directory))
    other.results.remove(lambda entries: [entry.key for entry in entries], invalidate=False)
    claim.store(RESULT)
    assert isinstance(ask(cache), Hit)
    claim = ask(cache, "b" * 64)
    other.results.remove(lambda entries: [], invalidate=True)
    claim.store(RESULT)
    assert isinstance(ask(cache, "b" * 64), Claim)


def test_a_clock_that_goes_back(cache: ResultCache, clock: Clock) -> None:
    keep(cache)
    clock.seconds -= 0.5
    assert ask(cache).age == 0
    clock.seconds -= 3600
    assert [entry.fresh for entry in cache.results.entries()] == [False]
    keep(cache)
    assert [(entry.fresh, entry.age) for entry in cache.results.entries()] == [(True, 0)]
    clock.seconds += 3600
    assert isinstance(ask(cache), Claim)


def test_the_least_recently_used_go_first_and_the_expired_in_passing(directory: Path, clock: Clock) -> None:
    cache = ResultCache(str(directory), now=clock, largest=3000, limit=10_000)
    for number in range(4):
        keep(cache, str(number), result={"text": "x" * 2900})
        if number == 2:
            assert isinstance(ask(cache, "0"), Hit)
    assert [entry.key for entry in cache.results.entries()] == ["3", "0", "2"]
    keep(cache, "long", ttl=600)
    clock.seconds += 60
    keep(cache, "new")
    assert [entry.key for entry in cache.results.entries()] == ["new", "long"]
    with pytest.raises(ValidationError, match="the most are 3000"):
        keep(cache, "large", result={"text": "x" * 3000})


def test_secrets_in_arguments_and_removed_results_are_in_no_file(
    cache: ResultCache, directory: Path, clock: Clock
) -> None:
    other = ResultCache(str(directory), now=clock)
    arguments = {"login": {"password": "canary-in-arguments"}}
    key = cache_key(cache.secret, "a.b.c", arguments, "web01", "1", {})
    keep(cache, key, result={"out": "canary-in-result", "invocation": {"module_args": arguments}})
    assert isinstance(ask(other, key), Hit)  # which has the file open still

    def everything() -> bytes:
        return b"".join(path.read_bytes() for path in directory.iterdir())

    assert (directory / "cache.sqlite-wal").stat().st_size > 0
    assert b"canary-in-arguments" not in everything()
    assert b"canary-in-result" in everything()
    cache.results.remove(lambda entries: [entry.key for entry in entries], invalidate=True)
    assert b"canary" not in everything()


def test_other_users_may_not_write_there(directory: Path) -> None:
    directory.mkdir()
    directory.chmod(0o777)
    for use in (lambda cache: cache.secret, ask):
        with pytest.raises(UnsafeError, match="may be written by other users"):
            use(ResultCache(str(directory)))


def test_where_it_may_not_write_it_says_so(tmp_path: Path) -> None:
    """Root may write everywhere, so another user asks; that runs where the tests are root, as in CI."""

    def as_nobody() -> None:
        if os.geteuid() == 0:
            tmp_path.chmod(0o755)
            os.setresuid(65534, 65534, 65534)
        for use in (lambda cache: cache.secret, ask):
            with pytest.raises(PermissionDenied, match=r"Permission denied") as told:
                use(ResultCache(str(tmp_path / "closed" / "cache")))
            assert "choose another directory" in told.value.hint

    (tmp_path / "closed").mkdir(mode=0o500)
    assert end(start(as_nobody)) == 0


@contextlib.contextmanager
def small_disk(path: Path) -> Iterator[Path]:
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k,mode=0700", "tmpfs", str(path)], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def test_a_full_disk_loses_nothing_and_frees_the_claim(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        cache = ResultCache(str(disk / "cache"))
        keep(cache, "kept")
        claim = ask(cache)
        with contextlib.suppress(OSError), open(disk / "ballast", "wb", buffering=0) as ballast:
            while True:
                ballast.write(b"x" * 4096)
        with pytest.raises(UnavailableError), claim:
            claim.store({"text": "x" * 100_000})
        assert ask(cache, "kept").result == RESULT
        assert isinstance(ask(cache, wait=0), Claim)
        cache.close()
        with pytest.raises(ToolkitError) as told:
            ask(ResultCache(str(disk / "another")))
        assert told.value.kind == "unavailable"
        (disk / "ballast").unlink()
        keep(ResultCache(str(disk / "another")))
        assert ask(cache, "kept").result == RESULT


def test_damage_is_named(cache: ResultCache, directory: Path) -> None:
    keep(cache, result={"text": "sound and whole"})
    cache.close()
    database = directory / "cache.sqlite"
    database.write_bytes(database.read_bytes().replace(b"sound and whole", b"sound or broken"))
    with pytest.raises(IntegrityError, match="a result in it is damaged"):
        ask(cache)
    cache.close()
    database.write_bytes(b"\0" * 8192)
    with pytest.raises(IntegrityError, match=r"cache\.sqlite is damaged"):
        ask(cache)
    database.unlink()
    keep(cache)
    (directory / "secret").write_bytes(b"short")
    with pytest.raises(IntegrityError, match=r"secret is damaged"):
        print(ResultCache(str(directory)).secret)
