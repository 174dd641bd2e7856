# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Commit-confirm on the host, with a change of two files, a real shell, real locks and SIGKILL at every step.

``live`` stands for what the kernel or a server has, ``etc`` for what a restart brings. Only systemd is played.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ansible_collections.scripts.toolkit.plugins.module_utils._confirm import rollback
from ansible_collections.scripts.toolkit.plugins.module_utils._confirm.change import LiveChange
from ansible_collections.scripts.toolkit.plugins.module_utils._confirm.session import Session
from ansible_collections.scripts.toolkit.plugins.module_utils._confirm.window import Window, pending_tokens
from ansible_collections.scripts.toolkit.plugins.module_utils._core.commands import Commands
from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import (
    ConflictError,
    DependencyError,
    UnavailableError,
    UnsafeError,
    ValidationError,
)
from ansible_collections.scripts.toolkit.plugins.module_utils._core.files import write_atomic

TOKEN = "a" * 32


class FileChange(LiveChange):
    """Changes ``live`` from old to new, and ``etc`` when it is confirmed."""

    def __init__(self, root: Path, refuse: str = "") -> None:
        self.live, self.etc, self.refuse = root / "live", root / "etc", refuse

    def stage(self, directory: str) -> None:
        write_atomic(os.path.join(directory, "candidate"), b"new", durable=False)
        write_atomic(os.path.join(directory, "previous"), self.live.read_bytes(), durable=False)
        if self.refuse == "stage":
            raise ValidationError("refused")

    def apply(self, directory: str) -> None:
        write_atomic(str(self.live), Path(directory, "candidate").read_bytes(), durable=False)
        if self.refuse == "apply":
            raise UnavailableError("it does not work")

    def commit(self, directory: str) -> None:
        if self.refuse == "commit":
            raise OSError(28, "No space left on device", str(self.etc))
        write_atomic(str(self.etc), Path(directory, "candidate").read_bytes())

    def reverted(self, directory: str) -> bool:
        return self.live.read_bytes() == Path(directory, "previous").read_bytes()

    @property
    def revert_script(self) -> str:
        return f'cp "$d/previous" {self.live}.revert && mv {self.live}.revert {self.live}'

    @property
    def committed_test(self) -> str:
        return f'cmp -s "$d/candidate" {self.etc}'


class Systemd:
    """Stands in for systemd-run and systemctl, and keeps its timers in files; every other program runs for real."""

    def __init__(self, timers: Path) -> None:
        self.timers = timers
        self.timers.mkdir()
        self.log: list[str] = []

    @property
    def armed(self) -> dict[str, str]:
        return {path.name: path.read_text(encoding="utf-8") for path in self.timers.iterdir()}

    def __call__(self, args, data=None, environ_update=None, cwd=None, **_kwargs):
        program = os.path.basename(args[0])
        self.log.append(program)
        if program == "systemd-run":
            unit = next(part.partition("=")[2] for part in args if part.startswith("--unit="))
            (self.timers / unit).write_text(args[-1], encoding="utf-8")
            return 0, "", ""
        if program == "systemctl":
            units = [part.rpartition(".")[0] for part in args[2:]]
            if args[1] == "stop":
                (self.timers / units[0]).unlink(missing_ok=True)
                return 0, "", ""
            return 0, "\n".join("active" if unit in self.armed else "inactive" for unit in units), ""
        environment = {**os.environ, **(environ_update or {})}
        done = subprocess.run(args, input=data, env=environment, cwd=cwd, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    def time_is_over(self) -> None:
        """Run what is armed, as the timer would."""
        for unit, script in self.armed.items():
            if os.path.exists(script):
                subprocess.run(["/bin/sh", script], check=True, capture_output=True)
            (self.timers / unit).unlink(missing_ok=True)


class Host:
    """A directory with the two files, and sessions on it."""

    def __init__(self, root: Path) -> None:
        self.root, self.base, self.systemd = root, root / "run", Systemd(root / "timers")
        (root / "live").write_bytes(b"old")
        (root / "etc").write_bytes(b"old")

    def session(self, stage: str = "apply", provable: bool = True, allow_lockout: bool = False) -> Session:
        commands = Commands(self.systemd)
        return Session("thing", commands, stage, TOKEN, provable, allow_lockout, 30, str(self.base))

    @property
    def state(self) -> tuple[bytes, bytes]:
        return (self.root / "live").read_bytes(), (self.root / "etc").read_bytes()


def never() -> None:
    raise AssertionError("the guard is for connections that prove nothing")


@pytest.fixture
def host(tmp_path: Path, monkeypatch) -> Host:
    monkeypatch.setattr(rollback, "_SYSTEMD", str(tmp_path))
    return Host(tmp_path)


def test_a_change_is_live_at_once_and_in_etc_when_confirmed(host: Host) -> None:
    told = host.session().carry_out(FileChange(host.root), never)
    assert host.state == (b"new", b"old")
    assert 25 < told["pending"]["seconds"] <= 30
    assert host.systemd.armed
    host.session("confirm").confirm(FileChange(host.root))
    assert host.state == (b"new", b"new")
    assert not host.systemd.armed
    assert pending_tokens("thing", str(host.base)) == []


def test_the_rollback_is_armed_before_anything_is_live(host: Host) -> None:
    class Watching(FileChange):
        def apply(self, directory: str) -> None:
            assert host.systemd.armed
            super().apply(directory)

    host.session().carry_out(Watching(host.root), never)
    assert host.state == (b"new", b"old")


def test_what_nobody_confirms_is_taken_back(host: Host) -> None:
    host.session().carry_out(FileChange(host.root), never)
    host.systemd.time_is_over()
    assert host.state == (b"old", b"old")
    with pytest.raises(ConflictError, match="no longer waiting to be confirmed"):
        host.session("confirm").confirm(FileChange(host.root))
    assert host.state == (b"old", b"old")
    assert host.session("outcome").outcome(FileChange(host.root)) == {"state": "rolled-back", "reverted": True}


def test_outcome_notices_that_the_previous_state_is_not_live(host: Host) -> None:
    host.session().carry_out(FileChange(host.root), never)
    host.systemd.time_is_over()
    (host.root / "live").write_bytes(b"something else")
    assert host.session("outcome").outcome(FileChange(host.root)) == {"state": "rolled-back", "reverted": False}


def test_confirming_twice_is_fine_because_the_first_answer_may_be_lost(host: Host) -> None:
    host.session().carry_out(FileChange(host.root), never)
    for _time in range(2):
        host.session("confirm").confirm(FileChange(host.root))
    assert host.session("outcome").outcome(FileChange(host.root))["state"] == "confirmed"


def test_a_late_timer_does_not_undo_what_was_confirmed(host: Host) -> None:
    host.session().carry_out(FileChange(host.root), never)
    armed = dict(host.systemd.armed)
    script = Path(next(iter(armed.values()))).read_text(encoding="utf-8")
    host.session("confirm").confirm(FileChange(host.root))
    subprocess.run(["/bin/sh", "-c", script], check=True)
    assert host.state == (b"new", b"new")


def test_an_unknown_change_is_unknown(host: Host) -> None:
    assert host.session("outcome").outcome(FileChange(host.root)) == {"state": "unknown", "reverted": False}
    with pytest.raises(ConflictError, match="unknown"):
        host.session("confirm").confirm(FileChange(host.root))


@pytest.mark.parametrize(("refuse", "error"), [("stage", ValidationError), ("apply", UnavailableError)])
def test_a_refused_change_leaves_nothing(host: Host, refuse: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        host.session().carry_out(FileChange(host.root, refuse), never)
    assert host.state == (b"old", b"old")
    assert not host.systemd.armed
    assert pending_tokens("thing", str(host.base)) == []


def test_a_full_disk_at_the_end_brings_the_previous_state_back(host: Host) -> None:
    host.session().carry_out(FileChange(host.root), never)
    with pytest.raises(UnavailableError, match="No space left"):
        host.session("confirm").confirm(FileChange(host.root, "commit"))
    assert host.state == (b"old", b"old")
    assert not host.systemd.armed


def test_without_systemd_nothing_is_changed(host: Host, monkeypatch) -> None:
    monkeypatch.setattr(rollback, "_SYSTEMD", str(host.root / "absent"))
    with pytest.raises(DependencyError, match="not run by systemd"):
        host.session().carry_out(FileChange(host.root), never)
    assert host.state == (b"old", b"old")


def test_a_connection_that_proves_nothing_asks_the_guard_and_then_does_all_in_one_call(host: Host) -> None:
    def refuse() -> None:
        raise UnsafeError("it might lock you out")

    with pytest.raises(UnsafeError):
        host.session(provable=False).carry_out(FileChange(host.root), refuse)
    assert host.state == (b"old", b"old")
    assert not host.systemd.log
    told = host.session(provable=False).carry_out(FileChange(host.root), lambda: None)
    assert told == {"proof": "none"}
    assert host.state == (b"new", b"new")


@pytest.mark.parametrize("provable", [True, False])
def test_allow_lockout_needs_neither_proof_nor_guard(host: Host, provable: bool) -> None:
    told = host.session(provable=provable, allow_lockout=True).carry_out(FileChange(host.root), never)
    assert told == {"proof": "none"}
    assert host.state == (b"new", b"new")


def test_check_mode_predicts_the_refusal(host: Host) -> None:
    def refuse() -> None:
        raise UnsafeError("it might lock you out")

    assert host.session().predict(never) == {"proof": "connection"}
    with pytest.raises(UnsafeError):
        host.session(provable=False).predict(refuse)
    assert not host.base.exists()


def test_the_next_run_settles_a_change_whose_timer_is_lost(host: Host) -> None:
    host.session().carry_out(FileChange(host.root), never)
    for timer in host.systemd.timers.iterdir():
        timer.unlink()
    with pytest.raises(ConflictError, match="nothing takes back"):
        host.session().settle(check_mode=True)
    assert host.state == (b"new", b"old")
    (note,) = host.session().settle(check_mode=False)
    assert "taken back first" in note
    assert host.state == (b"old", b"old")
    assert host.session().settle(check_mode=False) == []


def test_the_next_run_waits_for_a_timer_that_is_armed(host: Host) -> None:
    host.session().carry_out(FileChange(host.root), never)
    timer = threading.Timer(0.7, host.systemd.time_is_over)
    timer.start()
    (note,) = host.session().settle(check_mode=True)
    timer.join()
    assert "taken back first" in note
    assert host.state == (b"old", b"old")


def test_confirm_and_rollback_never_both_win(tmp_path: Path, monkeypatch) -> None:
    ends = set()
    for number in range(20):
        root = tmp_path / str(number)
        root.mkdir()
        monkeypatch.setattr(rollback, "_SYSTEMD", str(root))
        host = Host(root)
        host.session().carry_out(FileChange(root), never)
        script = next(iter(host.systemd.armed.values()))
        with subprocess.Popen(["/bin/sh", script], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as racing:
            if number % 2:
                racing.wait()
            try:
                host.session("confirm").confirm(FileChange(root))
                confirmed = True
            except ConflictError:
                confirmed = False
        assert host.state == ((b"new", b"new") if confirmed else (b"old", b"old"))
        ends.add(confirmed)
    assert False in ends


def _killed_at(step: int, work) -> bool:
    """Run ``work`` in a process that is killed at its ``step``-th event on files or processes, if it has so many."""
    child = os.fork()
    if child == 0:
        try:
            left = [step]

            def hook(event: str, _arguments: tuple) -> None:
                if event in ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.chmod", "subprocess.Popen"):
                    left[0] -= 1
                    if left[0] == 0:
                        os.kill(os.getpid(), signal.SIGKILL)

            sys.addaudithook(hook)
            work()
        finally:
            os._exit(0)
    _pid, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("stage", ["apply", "confirm"])
def test_killed_at_any_step_the_host_ends_wholly_old_or_wholly_new(tmp_path: Path, monkeypatch, stage: str) -> None:
    ends, step = set(), 0
    while True:
        step += 1
        root = tmp_path / str(step)
        root.mkdir()
        monkeypatch.setattr(rollback, "_SYSTEMD", str(root))
        host = Host(root)
        if stage == "confirm":
            host.session().carry_out(FileChange(root), never)

        def work(host: Host = host, root: Path = root) -> None:
            if stage == "apply":
                host.session().carry_out(FileChange(root), never)
            else:
                host.session("confirm").confirm(FileChange(root))

        killed = _killed_at(step, work)
        if stage == "apply":
            assert host.state[1] == b"old", "a restart must bring the old state"
        host.systemd.time_is_over()
        assert host.state in ((b"old", b"old"), (b"new", b"new")), f"killed at step {step}"
        assert pending_tokens("thing", str(host.base)) == []
        ends.add(host.state)
        if not killed:
            break
    assert step > 5
    assert ends == ({(b"old", b"old")} if stage == "apply" else {(b"old", b"old"), (b"new", b"new")})


@pytest.mark.parametrize("word", ["", "../x", "a b", "a/b", "ä"])
def test_names_are_plain_words(word: str) -> None:
    with pytest.raises(ValidationError):
        Window(word, TOKEN)
    with pytest.raises(ValidationError):
        Window("thing", word)


@pytest.mark.parametrize(
    "params", [{"confirm_timeout": 4}, {"confirm_timeout": 3601}, {"confirm_port": 0}, {"confirm_port": 65536}]
)
def test_options_out_of_range_are_named(params: dict, tmp_path: Path) -> None:
    given = {"confirm_timeout": 30, "confirm_port": None, "allow_lockout": False, "_confirm": None, **params}
    with pytest.raises(ValidationError, match=next(iter(params))):
        Session.from_params("thing", given, Commands(Systemd(tmp_path / "timers")))


def test_called_without_its_action_a_module_has_no_proof(tmp_path: Path) -> None:
    given = {"confirm_timeout": 30, "confirm_port": None, "allow_lockout": False, "_confirm": None}
    session = Session.from_params("thing", given, Commands(Systemd(tmp_path / "timers")))
    assert (session.stage, session.needs_proof) == ("apply", False)


def test_other_users_can_not_read_what_is_pending(host: Host) -> None:
    host.session().carry_out(FileChange(host.root), never)
    assert (host.base / "thing").stat().st_mode & 0o077 == 0
