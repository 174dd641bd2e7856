# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Units: names, states, plans, debts, and the calls made; systemd itself is real in the scenario `services`."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scripts.toolkit.plugins.module_utils._core.commands import Commands
from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import (
    ConflictError,
    NotFoundError,
    ToolkitError,
    UnavailableError,
    ValidationError,
)
from ansible_collections.scripts.toolkit.plugins.module_utils._system import owed
from ansible_collections.scripts.toolkit.plugins.module_utils._system.service_plan import (
    Wish,
    plan_unit,
    settled,
    wishes,
)
from ansible_collections.scripts.toolkit.plugins.module_utils._system.services import Services
from ansible_collections.scripts.toolkit.plugins.module_utils._system.units import (
    Systemd,
    UnitState,
    full_name,
    parse_show,
)


@pytest.fixture(autouse=True)
def notes(tmp_path, monkeypatch):
    """The place for debts, instead of that of this machine."""
    monkeypatch.setattr(owed, "base_directory", lambda _purpose: str(tmp_path / "state"))
    return tmp_path / "state" / "owed"


# Names and output


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("nginx", "nginx.service"),
        ("php8.2-fpm", "php8.2-fpm.service"),
        ("certbot.timer", "certbot.timer"),
        ("backup@home.timer", "backup@home.timer"),
        ("getty@tty1", "getty@tty1.service"),
        ("a.socket.service", "a.socket.service"),
    ],
)
def test_names_are_completed(name, full):
    assert full_name(name) == full


@pytest.mark.parametrize("name", ["", "a b", "a/b", "../x", "foo@", "foo@.timer", "-a*", "x" * 300, "--now\n"])
def test_names_that_are_none_are_refused(name):
    with pytest.raises(ValidationError, match="units"):
        full_name(name)


def test_what_systemctl_shows_is_read_in_the_order_asked():
    text = (
        "Type=notify\nRemainAfterExit=no\nResult=success\nNRestarts=0\nId=ssh.service\nLoadState=loaded\n"
        "ActiveState=active\nSubState=running\nUnitFileState=enabled\nCanReload=yes\nJob=\nNeedDaemonReload=no\n\n"
        "Result=success\nId=apt-daily.timer\nLoadState=loaded\nActiveState=active\nSubState=waiting\n\n"
        "Id=nope.service\nLoadState=not-found\nActiveState=inactive\nSubState=dead\nUnitFileState=\n"
    )
    found = parse_show(text, ["sshd.service", "apt-daily.timer", "nope.service"])
    assert (found["sshd.service"].id, found["sshd.service"].up) == ("ssh.service", True)
    assert found["apt-daily.timer"].type == ""
    assert not found["nope.service"].exists
    with pytest.raises(UnavailableError):
        parse_show(text, ["ssh.service"])


# Wishes and plans


def test_wishes_for_the_same_unit_are_merged():
    found = wishes([{"name": "nginx", "enabled": True}, {"name": "nginx.service", "state": "started"}, "nginx"])
    assert found == {"nginx.service": Wish(enabled=True, state="started")}
    assert (
        wishes([{"name": "a", "state": "started"}, {"name": "a", "state": "reloaded"}])["a.service"].state == "reloaded"
    )


@pytest.mark.parametrize(
    ("units", "error"),
    [
        ([{"name": "a", "enabled": True}, {"name": "a", "enabled": False}], ConflictError),
        ([{"name": "a", "state": "started"}, {"name": "a.service", "state": "stopped"}], ConflictError),
        ([{"name": "a", "masked": True, "state": "started"}], ValidationError),
        ([{"name": "a", "masked": True}, {"name": "a", "enabled": True}], ValidationError),
    ],
)
def test_wishes_that_contradict_each_other_are_refused(units, error):
    with pytest.raises(error, match=r"a\.service"):
        wishes(units)


def unit(**changes):
    preset = UnitState(
        "a.service",
        id="a.service",
        load="loaded",
        active="active",
        sub="running",
        file="enabled",
        can_reload="yes",
        result="success",
        reload_result="success",
        type="notify",
        restarts="0",
    )
    return replace(preset, **changes)


@pytest.mark.parametrize(
    ("wish", "state", "debt", "words", "settles"),
    [
        (Wish(True, "started"), {}, None, None, False),
        (Wish(True, "started"), {"active": "inactive", "file": "disabled"}, None, "enable, start", False),
        (Wish(True, "started"), {"active": "failed"}, "reload", "start", True),
        (Wish(state="started"), {"active": "activating", "sub": "auto-restart"}, None, "start", False),
        (Wish(state="started"), {"active": "activating", "sub": "start"}, None, None, False),
        (Wish(), {}, "reload", "reload", True),
        (Wish(), {"can_reload": "no"}, "reload", "restart", True),
        (Wish(), {}, "restart", "restart", True),
        (Wish(), {"active": "failed", "file": "disabled"}, "reload", "start", True),
        (Wish(), {"active": "inactive"}, "reload", "start", True),
        (Wish(), {"active": "inactive", "file": "disabled"}, "restart", None, True),
        (Wish(), {"active": "inactive", "file": "masked", "load": "masked"}, "restart", None, True),
        (Wish(state="stopped"), {}, "restart", "stop", True),
        (Wish(state="reloaded"), {}, "restart", "restart", True),
        (Wish(state="reloaded"), {"active": "inactive"}, None, "start", False),
        (Wish(state="restarted"), {}, None, "restart", False),
        (Wish(False, "stopped", True), {}, None, "disable, mask, stop", False),
        (Wish(masked=False), {"load": "masked"}, None, "unmask", False),
        (Wish(masked=False), {"load": "not-found"}, None, None, False),
        (Wish(masked=True), {"load": "not-found", "active": "inactive"}, None, "mask", False),
        (Wish(enabled=False), {"file": "static"}, None, None, False),
    ],
)
def test_plans(wish, state, debt, words, settles):
    steps = plan_unit("a.service", wish, unit(**state), debt)
    assert (steps.words, steps.settles) == (words, settles)


@pytest.mark.parametrize(
    ("wish", "state", "error"),
    [
        (Wish(state="started"), {"load": "not-found"}, NotFoundError),
        (Wish(state="stopped"), {"load": "not-found"}, NotFoundError),
        (Wish(state="started"), {"load": "masked"}, ConflictError),
        (Wish(enabled=True), {"file": "static"}, ConflictError),
        (Wish(), {"load": "bad-setting"}, UnavailableError),
    ],
)
def test_wishes_that_can_not_come_true(wish, state, error):
    with pytest.raises(error):
        plan_unit("a.service", wish, unit(**state))


@given(
    st.builds(Wish, *(st.sampled_from([None, True, False]), st.sampled_from([None, "started", "stopped"]))),
    st.sampled_from(["active", "inactive", "failed"]),
    st.sampled_from(["enabled", "disabled", "enabled-runtime", "indirect"]),
    st.sampled_from([None, "reload", "restart"]),
)
def test_a_plan_that_was_done_needs_no_other(wish, active, file, debt):
    state = unit(active=active, file=file)
    steps = plan_unit("a.service", wish, state, debt)
    words = {"enable": "enabled", "disable": "disabled"}
    file = next((word for verb, word in words.items() if getattr(steps, verb)), file)
    active = {None: active, "stop": "inactive"}.get(steps.action, "active")
    again = plan_unit("a.service", wish, unit(active=active, file=file), None if steps.settles else debt)
    assert not again.any
    assert again.settles is False


@pytest.mark.parametrize(
    ("action", "now", "steady", "verdict"),
    [
        ("start", {}, False, True),
        ("start", {"type": "simple"}, False, None),
        ("start", {"type": "simple"}, True, True),
        ("start", {"active": "activating", "sub": "start"}, False, None),
        ("start", {"active": "activating", "sub": "auto-restart"}, False, False),
        ("start", {"active": "activating", "sub": "auto-restart-queued"}, False, False),
        ("start", {"active": "failed"}, False, False),
        ("start", {"restarts": "1"}, False, False),
        ("start", {"active": "inactive", "job": "7"}, False, None),
        ("start", {"active": "inactive"}, False, False),
        ("start", {"active": "inactive", "type": "oneshot", "remains": "no"}, False, True),
        ("reload", {}, False, None),
        ("reload", {}, True, True),
        ("reload", {"reload_result": "exit-code"}, False, False),
        ("stop", {}, False, None),
        ("stop", {"active": "inactive"}, False, True),
    ],
)
def test_when_an_action_has_come_true(action, now, steady, verdict):
    assert settled(action, unit(), unit(**now), steady) is verdict


# Debts


def test_a_restart_that_is_owed_includes_a_reload():
    owed.owe("nginx.service", "restart")
    owed.owe("nginx", "reload")
    owed.owe("php8.2-fpm.service", "reload")
    assert owed.owed() == {"nginx.service": "restart", "php8.2-fpm.service": "reload"}


def test_a_debt_made_anew_meanwhile_stays():
    owed.owe("nginx.service", "reload")
    seen = owed.debts()["nginx.service"]
    owed.owe("nginx.service", "reload")
    assert not owed.settle("nginx.service", seen)
    assert owed.owed() == {"nginx.service": "reload"}
    assert owed.settle("nginx.service", owed.debts()["nginx.service"])
    assert owed.owed() == {}
    assert not owed.settle("nginx.service")


@pytest.mark.parametrize(
    ("unit_", "action"), [("../passwd", "reload"), ("", "reload"), ("a b", "reload"), ("a", "start")]
)
def test_debts_that_are_none_are_refused(unit_, action, notes):
    with pytest.raises(ValidationError, match="notify"):
        owed.owe(unit_, action)
    assert not notes.exists()


def test_leftovers_are_no_debts(notes):
    owed.owe("nginx.service", "reload")
    (notes / ".nginx.service.x.new").write_text("reload")
    (notes / "not a unit").write_text("reload")
    (notes / "odd.service").write_text("")
    assert owed.owed() == {"nginx.service": "reload", "odd.service": "restart"}


# Calls


class Manager:
    """A model of systemd that answers systemctl and journalctl, and notes the calls."""

    def __init__(self, **units):
        self.units = {f"{name.replace('_', '-')}.service": dict(state) for name, state in units.items()}
        self.calls = []

    def __call__(self, args, **_):
        program, *words = args
        names = words[words.index("--") + 1 :] if "--" in words else []
        words = [word for word in (words[: words.index("--")] if "--" in words else words) if word[0] != "-"]
        if program.endswith("journalctl"):
            self.calls.append("journal")
            return 0, "the last words\n", ""
        self.calls.append(" ".join([words[0], *names]))
        return getattr(self, words[0].replace("-", "_"))(names)

    def show(self, names):
        preset = {"LoadState": "loaded", "ActiveState": "inactive", "UnitFileState": "disabled", "CanReload": "yes"}
        preset.update(Result="success", ReloadResult="success", Type="notify", NRestarts="0", NeedDaemonReload="no")
        blocks = []
        for name in names:
            known = {**preset, **self.units[name]} if name in self.units else {"LoadState": "not-found"}
            blocks.append("".join(f"{key}={value}\n" for key, value in {"Id": name, **known}.items() if key[0] != "_"))
        return 0, "\n".join(blocks), ""

    def _each(self, names, **changes):
        for name in names:
            self.units[name].update(changes)
        return 0, "", ""

    def daemon_reload(self, _names):
        return 0, "", ""

    def enable(self, names):
        return self._each(names, UnitFileState="enabled")

    def start(self, names):
        for name in names:
            self.units[name].update(ActiveState=self.units[name].get("_starts", "active"))
        return 0, "", ""

    def stop(self, names):
        return self._each(names, ActiveState="inactive")

    def restart(self, names):
        return self.start(names)

    def reload(self, names):
        for name in names:
            self.units[name].update(self.units[name].get("_reloads", {}))
        return 0, "", ""


class Clock:
    """Time that passes only in sleep."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture(autouse=True)
def _installed(monkeypatch):
    monkeypatch.setattr(Commands, "find", staticmethod(lambda program: f"/usr/bin/{program}"))


def run(manager, units, check_mode=False, **options):
    clock = Clock()
    services = Services(Commands(manager), units, clock=clock, sleep=clock.sleep, **options)
    return services.apply(check_mode=check_mode)


UP = {"ActiveState": "active", "UnitFileState": "enabled"}


def test_nothing_to_do_takes_one_call():
    manager = Manager(a=UP, b=UP)
    result = run(manager, [{"name": "a", "enabled": True, "state": "started"}, {"name": "b", "state": "started"}])
    assert (result["changed"], manager.calls) == (False, ["show a.service b.service"])


def test_check_mode_only_reads_and_predicts_the_run():
    wanted = [{"name": "a", "enabled": True, "state": "started"}, {"name": "b", "state": "started"}]
    owed.owe("b.service", "reload")
    checked, done = Manager(a={}, b=UP), Manager(a={}, b=UP)
    predicted = run(checked, wanted, check_mode=True)
    assert checked.calls == ["show a.service b.service"]
    assert owed.owed() == {"b.service": "reload"}
    result = run(done, wanted)
    assert predicted == result
    assert [call.split()[0] for call in done.calls if not call.startswith("show")] == ["enable", "reload", "start"]
    assert owed.owed() == {}
    assert not run(done, wanted)["changed"]


def test_what_earlier_tasks_would_have_noted_counts_in_check_mode_only():
    units = [{"name": "a", "state": "started"}]
    predicted = run(Manager(a=UP), units, check_mode=True, foreseen={"a": "reload"})
    assert [entry["owed"] for entry in predicted["outcomes"] if entry["changed"]] == ["reload"]
    manager = Manager(a=UP)
    assert not run(manager, units, foreseen={"a": "reload"})["changed"]
    assert manager.calls == ["show a.service"]


def test_a_unit_that_is_not_there_is_predicted_in_check_mode_only():
    wanted = [{"name": "later", "enabled": True, "state": "started"}]
    assert run(Manager(), wanted, check_mode=True)["changed"]
    result = run(Manager(), wanted)
    assert result["failed"]
    assert (result["error"]["kind"], result["error"]["item"]) == ("not_found", "later.service")


def test_a_reload_that_is_refused_stays_owed_and_the_others_are_done():
    owed.owe("a.service", "reload")
    owed.owe("b.service", "restart")
    manager = Manager(a={**UP, "_reloads": {"ReloadResult": "exit-code"}}, b=UP)
    result = run(manager, [])
    assert owed.owed() == {"a.service": "reload"}
    assert result["failed"]
    assert "previous configuration" in result["msg"]
    by_item = {outcome["item"]: outcome for outcome in result["outcomes"]}
    assert by_item["a.service"]["journal"] == ["the last words"]
    assert "error" not in by_item["b.service"]


def test_debts_of_units_that_are_not_listed_may_be_left():
    owed.owe("b.service", "restart")
    manager = Manager(a=UP, b=UP)
    assert not run(manager, [{"name": "a", "state": "started"}], settle_owed=False)["changed"]
    assert owed.owed() == {"b.service": "restart"}


def test_a_debt_of_a_unit_that_is_gone_is_forgotten():
    owed.owe("gone.service", "restart")
    assert not run(Manager(), [])["changed"]
    assert owed.owed() == {}


def test_a_unit_that_hangs_is_given_up_after_the_wait():
    manager = Manager(a={"_starts": "activating"}, b={})
    clock = Clock()
    wanted = [{"name": "a", "state": "started"}, {"name": "b", "state": "started"}]
    result = Services(Commands(manager), wanted, wait=5, clock=clock, sleep=clock.sleep).apply()
    assert [outcome.get("error", {}).get("kind") for outcome in result["outcomes"]] == ["timeout", None]
    assert 5 <= clock.now < 6


def test_a_unit_that_fails_is_noticed_at_once():
    clock = Clock()
    manager = Manager(a={"_starts": "failed"})
    result = Services(Commands(manager), [{"name": "a", "state": "started"}], clock=clock, sleep=clock.sleep).apply()
    assert (clock.now, result["error"]["kind"]) == (0, "unavailable")
    assert manager.calls[-1] == "journal"


def test_two_names_of_one_unit_are_one():
    manager = Manager(ssh=UP, sshd={**UP, "Id": "ssh.service"})
    owed.owe("sshd.service", "reload")
    result = run(manager, [{"name": "ssh", "state": "started"}])
    assert [call for call in manager.calls if call.startswith("reload")] == ["reload ssh.service"]
    assert (len(result["outcomes"]), owed.owed()) == (1, {})
    with pytest.raises(ToolkitError, match="listed twice"):
        run(manager, [{"name": "ssh", "enabled": True}, {"name": "sshd", "enabled": False}])


def test_changed_unit_files_are_read_first():
    manager = Manager(a={"NeedDaemonReload": "yes"})
    assert run(manager, [{"name": "a", "state": "started"}])["daemon_reloaded"]
    assert manager.calls.index("daemon-reload") < manager.calls.index("start a.service")


def test_a_mask_hides_whether_a_unit_is_enabled(tmp_path):
    directory = tmp_path / "multi-user.target.wants"
    directory.mkdir()
    os.symlink("/nowhere", directory / "a.service")
    assert Systemd.has_enabling_link("a.service", str(tmp_path))
    assert not Systemd.has_enabling_link("b.service", str(tmp_path))
