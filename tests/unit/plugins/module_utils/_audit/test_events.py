# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Details of events, from objects shaped like those of ansible-core; real ones are in the tests of the callback."""

from __future__ import annotations

import json
import time

import pytest

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.metrics.counters import Tally
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.record.canonical import encode
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.record.ending import (
    END_HOSTS,
    end_details,
    run_status,
)
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.record.events import Events
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.record.recorder import MAX_LINE
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.record.redact import Redactor

CANARY = "c4n4ry-9f8e"


class Task:
    delegate_to = None
    loop = None

    def __init__(self, action="ansible.builtin.command", no_log=False, uuid="t1", parent=None, args=None):
        self.args = args or {}
        self.action = self.resolved_action = action
        self.no_log = no_log
        self._uuid = uuid
        self._parent = parent

    def get_name(self):
        return "A task"

    def get_path(self):
        return "/srv/site.yml:3"


class Block:
    def __init__(self, block=(), rescue=(), parent=None, uuid="b"):
        self.block, self.rescue, self._parent, self._uuid = list(block), list(rescue), parent, uuid


class Host:
    name = "web01"


class Result:
    def __init__(self, data, task=None):
        self.host, self.task, self.result = Host, task or Task(), data

    def is_changed(self):
        return bool(self.result.get("changed"))


class OldResult:
    """ansible-core 2.18 has private names only."""

    def __init__(self, data):
        self._host, self._task, self._result = Host, Task(), data

    def is_changed(self):
        return bool(self._result.get("changed"))


def details(data, status="ok", task=None, detail="summary", **kwargs):
    event_type, made = Events(Redactor(), detail).task_result(Result(data, task), status, **kwargs)[0]
    assert event_type == "TASK_RESULT"
    return json.loads(encode(made))


def test_old_and_new_results_say_the_same():
    data = {"changed": True, "rc": 0, "msg": "done"}
    assert Events(Redactor()).task_result(OldResult(data), "ok") == Events(Redactor()).task_result(Result(data), "ok")


@pytest.mark.parametrize(
    ("status", "data", "kwargs", "expected"),
    [
        ("ok", {}, {}, "ok"),
        ("ok", {"changed": True}, {}, "changed"),
        ("failed", {"changed": True}, {}, "failed"),
        ("failed", {}, {"ignored": True}, "ignored"),
        ("skipped", {"skip_reason": "x"}, {}, "skipped"),
        ("unreachable", {}, {}, "unreachable"),
    ],
)
def test_status(status, data, kwargs, expected):
    assert details(data, status, **kwargs)["status"] == expected


def test_rescued_is_what_stands_in_the_main_part_of_a_block_with_rescue():
    inner, in_rescue, outside = Task(uuid="1"), Task(uuid="2"), Task(uuid="3")
    include = Block(uuid="i")
    block = Block(block=[include], rescue=[in_rescue])
    include._parent = block
    inner._parent = include
    in_rescue._parent = block
    assert details({}, "failed", inner)["status"] == "rescued"
    assert details({}, "failed", in_rescue)["status"] == "failed"
    assert details({}, "failed", outside)["status"] == "failed"
    block._parent = Block(block=[block], rescue=[outside])
    assert details({}, "failed", in_rescue)["status"] == "rescued"


@pytest.mark.parametrize(
    ("data", "task"),
    [
        ({"censored": "hidden", "changed": True, "msg": CANARY}, Task()),
        ({"_ansible_no_log": True, "msg": CANARY, "dest": CANARY, "changed": True}, Task()),
        ({"msg": CANARY, "item": CANARY}, Task(no_log=True)),
        ({"msg": CANARY}, Task(no_log="{{ hide }}")),
    ],
)
@pytest.mark.parametrize("detail", ["digest", "summary", "full"])
@pytest.mark.parametrize("item", [False, True])
def test_no_log_results_have_no_content(data, task, detail, item):
    made = details(data, "failed", task, detail, item=item)
    assert made["no_log"] is True
    assert not {"msg", "result", "item", "path", "rc", "outcomes"} & set(made)
    assert CANARY not in json.dumps(made)


@pytest.mark.parametrize("detail", ["none", "summary", "full"])
def test_what_is_never_recorded(detail):
    data = {
        "changed": True,
        "invocation": {"module_args": {"content": CANARY}},
        "diff": [{"before": CANARY, "after": CANARY}],
        "results": [{"msg": CANARY}],
        "exception": CANARY,
        "msg": f"login failed: password={CANARY}",
        "item": {"name": "bob", "password": CANARY},
        "_ansible_parsed": CANARY,
        "login_password": CANARY,
        "outcomes": [{"item": "/etc/x", "changed": True, "content": CANARY, "diff": CANARY}],
    }
    if detail == "full":
        data["outcomes"] = [{"item": "/etc/x", "changed": True, "password": CANARY}]
    for item in (False, True):
        assert CANARY not in json.dumps(details(data, "failed", None, detail, item=item))


def test_the_result_of_a_whole_loop_is_not_even_looked_at():
    class Costly(Result):
        @property
        def result(self):
            raise AssertionError

        @result.setter
        def result(self, value):
            pass

        def is_changed(self):
            return True

    task = Task()
    task.loop = ["a"]
    made = Events(Redactor(), "full").task_result(Costly({}, task), "ok")[0][1]
    assert made["status"] == "changed"
    assert "result" not in made


def test_the_message_of_debug_is_output_not_a_deed():
    task = Task("ansible.builtin.debug")
    assert "msg" not in details({"msg": "x"}, "ok", task)
    assert details({"msg": "x"}, "failed", task)["msg"] == "x"


def test_summary_of_a_bulk_module():
    outcomes = [
        {"item": "/etc/a", "changed": True, "checksum_before": "1" * 64, "checksum_after": "2" * 64, "mode": "0644"},
        {"item": "/etc/key", "changed": True, "sensitive": True, "checksum_after": CANARY},
        {"item": "/etc/b", "changed": False},
        {"item": "/etc/c", "changed": False, "failed": True, "error": {"kind": "permission", "message": CANARY}},
    ]
    data = {"changed": True, "outcomes": outcomes, "msg": "m", "error": {"kind": "permission", "item": "/etc/c"}}
    made = details(data, "failed")
    assert made["outcomes"] == {
        "total": 4,
        "changed": 2,
        "failed": 1,
        "told": [
            {
                "item": "/etc/a",
                "changed": True,
                "mode": "0644",
                "checksum_before": "1" * 64,
                "checksum_after": "2" * 64,
            },
            {"item": "/etc/key", "changed": True},
            {"item": "/etc/c", "changed": False, "failed": True, "error": "permission"},
        ],
    }
    assert made["error"] == {"kind": "permission", "item": "/etc/c"}


def test_many_outcomes_are_cut():
    made = details({"changed": True, "outcomes": [{"item": str(n), "changed": True} for n in range(500)]})
    assert made["outcomes"]["changed"] == 500
    assert len(made["outcomes"]["told"]) == 40


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"item": "a"}, "a"),
        ({"item": 3}, 3),
        ({"item": {"name": "bob", "x": 1}}, "bob"),
        ({"item": {"x": 1}}, "(dict)"),
        ({"item": [1]}, "(list)"),
        ({"ansible_loop_var": "user", "user": "eve", "item": "no"}, "eve"),
        ({"_ansible_item_label": "label", "item": {"a": 1}}, "label"),
    ],
)
def test_items(data, expected):
    assert details(data, item=True)["item"] == expected


def test_a_changed_file():
    data = {"changed": True, "dest": "/etc/motd", "checksum": "a1" * 20, "mode": "0644", "owner": "root"}
    events = Events(Redactor()).task_result(Result(data, Task("ansible.builtin.copy")), "ok")
    assert [event_type for event_type, _details in events] == ["TASK_RESULT", "FILE_MODIFICATION"]
    assert events[0][1]["path"] == "/etc/motd"
    assert events[1][1] == {
        "path": "/etc/motd",
        "operation": "MODIFY",
        "owner": "root",
        "mode": "0644",
        "sha1_after": "a1" * 20,
        "host": "web01",
        "task": "A task",
        "task_id": "t1",
        "module": "ansible.builtin.copy",
        "play": 0,
    }


def test_full_keeps_the_rest():
    made = details({"changed": False, "stdout": "hi", "stdout_lines": ["hi"], "n": 1.5}, detail="full")
    assert made["result"] == {"changed": False, "stdout": "hi", "n": "1.5"}


def test_durations_and_tally():
    events = Events(Redactor())
    events.started[(Host.name, "t1")] = time.monotonic()
    first = events.task_result(Result({"item": "a"}), "ok", item=True)[0][1]
    last = events.task_result(Result({}), "ok")[0][1]
    again = events.task_result(Result({}), "ok")[0][1]
    assert "duration_ms" not in first
    assert last["duration_ms"] >= 0
    assert "duration_ms" not in again
    counted = events.tally.details()["results"]
    assert [(module, counts["ok"]) for module, counts in counted.items()] == [(first["module"], 2)]  # not the item


def guarded(*decisions, module="ansible.builtin.copy", **more):
    carried = [{"event_type": "GUARD_DECISION", "details": {"decision": word, "wait_ms": 250}} for word in decisions]
    return {"changed": False, "guard": {"module": module}, "audit_events": carried, **more}


def guard_task(**args):
    return Task(action="scripts.toolkit.guarded_task", args={"module": "copy", "args": args})


def test_decisions_of_guards_are_recorded_and_counted_whatever_became_of_the_task():
    events = Events(Redactor())
    events.task_result(Result(guarded("attempt", "wait", "attempt"), guard_task()), "ok")
    events.task_result(Result(guarded("attempt", "deadline"), guard_task()), "failed")
    made = events.task_result(Result(guarded("attempt", "refused"), guard_task()), "unreachable")
    assert [event_type for event_type, _details in made] == ["TASK_RESULT", "GUARD_DECISION", "GUARD_DECISION"]
    assert made[1][1]["source"]["host"] == "web01"
    # Others may carry such events, but count nothing.
    events.task_result(Result(guarded("hit"), Task(action="scripts.toolkit.audit_event", uuid="t2")), "ok")
    events.task_result(Result(guarded("no such word"), guard_task()), "ok")
    decided = events.tally.details()["guards"]
    assert decided == {"attempt": 4, "deadline": 1, "refused": 1, "wait": 1, "wait_ms": 7 * 250}


def test_files_and_secrets_that_a_guarded_module_touches_are_told():
    events = Events(Redactor(), sensitive_paths=["/etc/shadow"])
    made = events.task_result(Result(guarded(changed=True), guard_task(dest="/etc/motd")), "ok")
    assert [(event_type, told["path"]) for event_type, told in made[1:]] == [("FILE_MODIFICATION", "/etc/motd")]
    made = events.task_result(
        Result(guarded(module="ansible.builtin.command"), guard_task(cmd="cat /etc/shadow")), "ok"
    )
    assert [(event_type, told["access"]) for event_type, told in made[1:]] == [("SENSITIVE_ACCESS", "EXECUTE")]
    made = events.task_result(Result(guarded(module="ansible.builtin.slurp"), guard_task(src="/etc/shadow")), "ok")
    assert [(event_type, told["access"]) for event_type, told in made[1:]] == [("SENSITIVE_ACCESS", "READ")]


def test_memory_stays_flat_over_many_tasks():
    events = Events(Redactor())
    for number in range(10000):
        task = Task(uuid=str(number))
        events.started[(Host.name, str(number))] = 0.0
        events.task_result(Result({}, task), "ok")
    assert len(events._tasks) <= 2048
    assert events.started == {}


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        ({}, "success"),
        ({"a": {"ok": 1, "rescued": 1}}, "success"),
        ({"a": {"unreachable": 1}, "b": {"ok": 1}}, "unreachable"),
        ({"a": {"unreachable": 1}, "b": {"failures": 1}}, "failed"),
    ],
)
def test_run_status(hosts, expected):
    assert run_status(hosts) == expected


def test_the_end_of_a_run_on_many_hosts_fits_a_line_and_tells_of_trouble_first():
    every = {"ok": 5000, "changed": 1, "skipped": 100, "ignored": 10, "rescued": 10, "unreachable": 0}
    hosts = {f"host-{number:05}.example.com": {**every, "failures": 0} for number in range(5000)}
    hosts["zz"] = {"failures": 1}
    made = end_details("failed", 10, hosts, Tally())
    assert len(encode(made)) < MAX_LINE - 8192
    assert made["totals"] == {"hosts": 5001, "changed": 5000, "failed": 1, "unreachable": 0}
    assert "zz" in made["hosts"]
    assert made["hosts_left_out"] == 5001 - END_HOSTS
