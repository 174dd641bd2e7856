# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Guarded tasks as users write them, in real runs on this machine against a real http service."""

from __future__ import annotations

import json
import os
import uuid

import pytest

from ansible_collections.scripts.toolkit.tests.integration.audit.audit_lab import COLLECTIONS

CANARY = "c4n4ry-guard-51d2"


def uri(url, guards="", **more):
    """Return a task that asks the service, and registers ``r``."""
    args = json.dumps({"url": url, "return_content": True, **more})
    return (
        "    - name: Ask\n"
        "      scripts.toolkit.guarded_task:\n"
        "        module: ansible.builtin.uri\n"
        f"        args: {args}\n"
        f"{guards}"
        "      register: r\n"
        "      ignore_errors: true\n"
        "      ignore_unreachable: true\n"
    )


def fast(attempts=4, more=""):
    """Return a policy that does not wait long."""
    return f"        retry: {{attempts: {attempts}, initial_delay: 0.01, jitter: none{more}}}\n"


def test_a_service_that_comes_back_is_asked_until_it_answers(lab, service):
    api = service((503, {}), (503, {}), (200, {}))
    r, _more, _said = lab.tasks(uri(api.url, fast()))
    assert (r["status"], r["json"], r["failed"]) == (200, {"request": 3}, False)
    assert [attempt["outcome"] for attempt in r["attempts"]] == ["failed", "failed", "ok"]
    assert [attempt.get("kind") for attempt in r["attempts"]] == ["unavailable", "unavailable", None]
    assert "503" in r["attempts"][0]["reason"]
    assert r["guard"] == {"module": "ansible.builtin.uri", "circuit": None, "cache": None}
    assert lab.decisions() == ["attempt", "wait", "attempt", "wait", "attempt"]
    (end,) = lab.details("EXECUTION_END")
    assert end["guards"]["attempt"] == 3
    assert 'guard_decisions_total{decision="wait"} 2' in lab.metrics.read_text(encoding="utf-8")


def test_it_gives_up_after_the_last_attempt_and_says_the_kind(lab, service):
    api = service((503, {}))
    r, _more, _said = lab.tasks(uri(api.url, fast(3)))
    assert (api.requests, r["failed"], r["status"], r["error"]["kind"]) == (3, True, 503, "unavailable")


def test_what_is_wrong_is_asked_once(lab, service):
    api = service((403, {}))
    r, _more, _said = lab.tasks(uri(api.url, fast()))
    assert (api.requests, r["error"]["kind"]) == (1, "permission")


@pytest.mark.parametrize("key", ["on", '"on"'])
def test_conditions_see_the_result(lab, service, key):
    api = service((200, {}))
    rule = f", {key}: {{when: ['result.status == 200', 'result.json.request < wanted']}}"
    task = uri(api.url, fast(9, rule)) + "      vars: {wanted: 3}\n"
    r, _more, _said = lab.tasks(task)
    assert (api.requests, r["failed"], r["json"]["request"]) == (3, False, 3)


def test_a_condition_that_is_none_fails_and_names_itself(lab, service):
    api = service((200, {}))
    r, _more, _said = lab.tasks(uri(api.url, fast(2, ", on: {when: 'result.nothing.here == 1'}")))
    assert (r["failed"], r["error"]["kind"]) == (True, "validation")
    assert "retry.on.when: 'result.nothing.here == 1'" in r["msg"]


def test_retry_after_is_honoured(lab, service):
    api = service((429, {"Retry-After": "1"}), (200, {}))
    r, _more, _said = lab.tasks(uri(api.url, fast()))
    assert (r["status"], r["attempts"][0]["wait_seconds"]) == (200, 1.0)
    api = service((429, {"Retry-After": "3600"}))
    r, _more, _said = lab.tasks(uri(api.url, fast()))
    assert (api.requests, r["error"]["kind"]) == (1, "timeout")
    assert "3600 seconds, more than retry.max_retry_after (300)" in r["msg"]


def test_a_deadline_ends_it_and_rescue_reacts(lab, service):
    api = service((503, {}))
    guarded = uri(api.url, "        retry: {initial_delay: 90, max_delay: 90, jitter: none}\n        deadline: 60\n")
    lines = ["    - name: Try", "      block:"]
    lines += [f"    {line}" for line in guarded.splitlines() if "ignore_" not in line]
    lines += ["      rescue:", "        - name: React", "          ansible.builtin.set_fact:"]
    lines += ["            more: '{{ ansible_failed_result.error.kind }}'"]
    r, more, _said = lab.tasks("\n".join(lines) + "\n")
    assert more == "timeout"
    assert "The deadline of 60 seconds leaves no time" in r["msg"]
    assert api.requests == 1


def test_a_circuit_is_shared_by_runs_and_refuses_without_a_call(lab, service):
    name = f"test-{uuid.uuid4()}"
    circuit = f"        circuit: {{name: {name}, threshold: 2, open_for: 600}}\n"
    api = service((503, {}))
    r, _more, _said = lab.tasks(uri(api.url, fast(5) + circuit))
    assert api.requests == 2
    assert [attempt["outcome"] for attempt in r["attempts"]] == ["failed", "failed", "refused"]
    assert (r["error"]["kind"], r["guard"]["circuit"]) == ("unavailable", name)
    assert lab.decisions() == ["attempt", "wait", "trip", "attempt", "wait", "refused"]
    # Another run, and one in check mode, are refused at once.
    for arguments in ((), ("--check",)):
        r, _more, _said = lab.tasks(uri(api.url, circuit), *arguments)
        assert (api.requests, r["failed"], f"The circuit {name} is open" in r["msg"]) == (2, True, True)


def test_a_result_is_kept_for_tasks_hosts_and_runs(lab, service, tmp_path):
    api = service((200, {}))
    cache = f"        cache: {{ttl: 600, directory: {tmp_path}/cache, scope: global}}\n"
    for number in range(2):
        r, _more, _said = lab.tasks(uri(api.url, cache))
        assert r["json"] == {"request": 1}
        assert r["guard"]["cache"]["hit"] is bool(number)
        assert len(r["attempts"]) == 1 - number
    assert api.requests == 1
    assert lab.decisions() == ["attempt", "store", "hit"]
    # Check mode uses what is kept for it, which is nothing.
    lab.tasks(uri(api.url, cache), "--check")
    # Other options are another result.
    r, _more, _said = lab.tasks(uri(f"{api.url}?other", cache))
    assert (r["json"], r["guard"]["cache"]["stored"]) == ({"request": 2}, True)


def test_no_log_is_neither_kept_nor_told(lab, service, tmp_path):
    api = service((200, {"X-Token": CANARY}))
    guards = fast() + f"        cache: {{ttl: 600, directory: {tmp_path}/cache}}\n        timeout: 30\n"
    task = uri(api.url, guards, headers={"Authorization": CANARY}) + "      no_log: true\n"
    _r, _more, said = lab.tasks(task, "-vvv", show=False)
    assert api.requests == 1
    assert CANARY not in said
    files = [path for path in [*lab.files(), *(tmp_path / "cache").rglob("*")] if path.is_file()]
    assert files
    assert not [path for path in files if CANARY.encode() in path.read_bytes()]


def test_a_kept_result_has_no_options_in_clear(lab, service, tmp_path):
    api = service((200, {}))
    cache = f"        cache: {{ttl: 600, directory: {tmp_path}/cache}}\n"
    lab.tasks(uri(api.url, cache, headers={"X-Query": CANARY}))
    files = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert len(files) >= 2
    assert not [path for path in files if CANARY.encode() in path.read_bytes()]


ACTIONS = """\
    - name: Write a file by a template
      scripts.toolkit.guarded_task:
        module: ansible.builtin.template
        args: {src: DIR/page.j2, dest: DIR/page, mode: "0640"}
        timeout: 60
        retry: {attempts: 2}
      vars: {word: hello}
      register: r
    - name: Loop, with a short name and defaults of the module
      scripts.toolkit.guarded_task:
        module: copy
        args: {content: "{{ item }}", dest: "DIR/{{ item }}"}
        timeout: 60
      loop: [one, two]
      register: more
"""
DEFAULTS = 'module_defaults: {ansible.builtin.copy: {mode: "0604"}}'


def test_actions_with_a_controller_half_loops_and_module_defaults(lab, tmp_path):
    (tmp_path / "page.j2").write_text("{{ word }} {{ inventory_hostname }}\n")
    r, more, said = lab.tasks(ACTIONS, "--check", "--diff", keywords=DEFAULTS)
    assert (r["changed"], [item["changed"] for item in more["results"]]) == (True, [True, True])
    assert "+hello h1" in said
    assert not (tmp_path / "page").exists()
    for changed in (True, False):
        r, more, _said = lab.tasks(ACTIONS, "--diff", keywords=DEFAULTS)
        assert (r["changed"], [item["changed"] for item in more["results"]]) == (changed, [changed, changed])
        assert [item["guard"]["module"] for item in more["results"]] == ["ansible.builtin.copy"] * 2
    assert (tmp_path / "page").read_text() == "hello h1\n"
    assert (tmp_path / "one").read_text() == "one"
    assert oct((tmp_path / "two").stat().st_mode)[-3:] == "604"
    paths = {details["path"] for details in lab.details("FILE_MODIFICATION")}
    assert {str(tmp_path / name) for name in ("page", "one", "two")} <= paths


NOTE = """\
from ansible.module_utils.basic import AnsibleModule

module = AnsibleModule({"text": {"type": "str"}, "more": {"type": "str"}})
module.exit_json(changed=False, failed=False, **module.params)
"""


def test_defaults_of_the_action_group_of_another_collection(lab, tmp_path):
    other = tmp_path / "ansible_collections" / "other" / "tools"
    for name, text in {
        "galaxy.yml": "{namespace: other, name: tools, version: 1.0.0, readme: README.md, authors: [nobody]}",
        "meta/runtime.yml": "{requires_ansible: '>=2.18', action_groups: {all: [note]}}",
        "plugins/modules/note.py": NOTE,
    }.items():
        (other / name).parent.mkdir(parents=True, exist_ok=True)
        (other / name).write_text(text)
    task = """\
    - name: Note
      scripts.toolkit.guarded_task:
        module: other.tools.note
        args: {more: of the task}
      register: r
"""
    r, _more, _said = lab.tasks(
        task,
        keywords="module_defaults: {group/other.tools.all: {text: of the group, more: of the group}}",
        ANSIBLE_COLLECTIONS_PATH=f"{COLLECTIONS}:{tmp_path}",
    )
    assert (r["text"], r["more"], r["guard"]["module"]) == ("of the group", "of the task", "other.tools.note")


def test_a_time_limit_ends_what_runs_and_leaves_the_keyword_timeout_alone(lab, tmp_path):
    task = """\
    - name: Take too long
      scripts.toolkit.guarded_task:
        module: ansible.builtin.shell
        args: {cmd: "echo $$ >>DIR/pids; sleep 600"}
        timeout: 8
      timeout: 60
      register: r
      ignore_errors: true
    - name: Take longer than the keyword allows
      scripts.toolkit.guarded_task:
        module: ansible.builtin.shell
        args: {cmd: "sleep 600"}
        timeout: 20
      timeout: 2
      register: more
      ignore_errors: true
"""
    r, more, _said = lab.tasks(task)
    assert [attempt["outcome"] for attempt in r["attempts"]] == ["timeout"]
    assert r["attempts"][0]["ended"] in ("group", "scope")
    assert r["error"]["kind"] == "timeout"
    assert (more["failed"], "timedout" in more, "attempts" in more) == (True, True, False)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pids").read_text()), 0)


WRONG = [
    ({"module": "no.such.module"}, "module: there is no module or action 'no.such.module'"),
    ({"module": "ansible.builtin.include_tasks"}, "is no module that can be wrapped"),
    ({"module": "scripts.toolkit.guarded_task"}, "a guard around a guard"),
    ({"timeout": -1}, "timeout is -1"),
    ({"timeout": 0}, "timeout is 0"),
    ({"deadline": "soon"}, "deadline"),
    ({"timeout": 60, "deadline": 30}, "timeout (60) is longer than deadline (30)"),
    ({"retry": {"attempts": 0}}, "retry.attempts is 0"),
    ({"retry": {"multiplier": 0.1}}, "retry.multiplier is 0.1"),
    ({"retry": {"on": {"match": "("}}}, "retry.on.match is not a regular expression"),
    ({"retry": {"on": {"kinds": ["bad luck"]}}}, "bad luck"),
    ({"retry": {"tries": 3}}, "tries"),
    ({"circuit": {"name": "x", "threshold": 3, "failure_ratio": 0.5}}, "exclude each other"),
    ({"circuit": {"name": "x", "backend": "mysql://x"}}, "backend"),
    ({"circuit": {"name": "x", "backend": "redis://127.0.0.1:1/0"}}, "redis"),
    ({"cache": {"ttl": -5}}, "cache.ttl"),
    ({"cache": {"ttl": 5, "directory": "/proc/cache"}}, "/proc/cache"),
]


def test_bad_input_is_named_and_nothing_runs(lab, tmp_path):
    works = {"module": "ansible.builtin.file", "args": {"path": f"{tmp_path}/made", "state": "touch"}}
    text = "".join(
        f"    - name: Wrong {number}\n"
        f"      scripts.toolkit.guarded_task: {json.dumps({**works, **options})}\n"
        f"      register: wrong{number}\n"
        "      ignore_errors: true\n"
        for number, (options, _words) in enumerate(WRONG)
    )
    results = ", ".join(f"wrong{number}" for number in range(len(WRONG)))
    text += f"    - ansible.builtin.set_fact: {{more: '{{{{ [{results}] }}}}'}}\n"
    _r, results, _said = lab.tasks(text)
    assert [result["failed"] for result in results] == [True] * len(WRONG)
    said = [result["msg"] for result in results]
    assert [words for (_options, words), message in zip(WRONG, said, strict=True) if words not in message] == [], said
    assert not (tmp_path / "made").exists()


def test_async_is_refused_with_the_way_out(lab):
    task = """\
    - name: Wrong
      scripts.toolkit.guarded_task: {module: ansible.builtin.command, args: {cmd: "true"}}
      async: 10
      poll: 1
      register: r
      ignore_errors: true
"""
    r, _more, _said = lab.tasks(task)
    assert (r["error"]["kind"], "Leave async out" in r["msg"]) == ("validation", True)


def test_backends_that_do_not_work_can_be_bypassed(lab, service, tmp_path):
    (tmp_path / "file").touch()
    api = service((200, {}))
    guards = (
        "        circuit: {name: x, backend: 'redis://:" + CANARY + "@127.0.0.1:1/0', on_backend_error: bypass}\n"
        f"        cache: {{ttl: 60, directory: {tmp_path}/file/cache, on_error: bypass}}\n"
    )
    r, _more, said = lab.tasks(uri(api.url, guards))
    assert (r["failed"], api.requests) == (False, 1)
    assert "The circuit x is bypassed" in said.replace("\n", " ")
    assert "The cache is bypassed" in said.replace("\n", " ")
    assert CANARY not in said
    assert lab.decisions().count("bypass") == 2
