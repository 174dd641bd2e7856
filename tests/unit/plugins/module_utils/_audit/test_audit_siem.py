# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Exports for SIEMs have the schemas' fields, types and values.

Names and values are those of ECS 8.17 (generated/ecs/ecs_flat.yml in github.com/elastic/ecs) and OCSF 1.3
(github.com/ocsf/ocsf-schema), as far as the exports use them.
"""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from index_trail import Trail

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.search.query import Filters, parse_time
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.search.siem import ECS_VERSION, to_ecs, to_ocsf

ECS = {
    "@timestamp": str, "ecs.version": str, "message": str, "event.kind": str, "event.category": list,
    "event.type": list, "event.action": str, "event.outcome": str, "event.module": str, "event.dataset": str,
    "event.provider": str, "event.id": str, "event.sequence": int, "event.duration": int, "user.name": str,
    "user.id": str, "user.effective.name": str, "host.name": str, "observer.hostname": str, "observer.product": str,
    "observer.vendor": str, "process.pid": int, "process.parent.pid": int, "process.command_line": str,
    "process.working_directory": str, "file.path": str, "file.name": str, "file.directory": str, "file.mode": str,
    "file.owner": str, "file.group": str, "file.hash.sha256": str, "file.hash.sha1": str, "error.message": str,
    "related.hosts": list, "related.user": list, "related.hash": list,
}  # fmt: skip
# event.category, and the values of event.type that are expected with it.
ECS_TYPES = {
    "configuration": {"access", "change", "creation", "deletion", "info"},
    "file": {"access", "change", "creation", "deletion", "info"},
    "iam": {"admin", "change", "creation", "deletion", "group", "info", "user"},
    "process": {"access", "change", "end", "info", "start"},
}
OCSF_BASE = {"activity_id", "category_uid", "class_uid", "type_uid", "severity_id", "time", "metadata"}
OCSF_REQUIRED = {
    0: set(),
    1001: {"actor", "device", "file"},
    1007: {"actor", "device", "process"},
    6003: {"actor", "api", "src_endpoint"},
}
OCSF_ACTIVITIES = {0: {99}, 1001: {1, 2, 3, 4, 99}, 1007: {1, 2}, 6003: {2, 3, 99}}
OCSF_FIELDS = OCSF_BASE | {"message", "status", "status_id", "status_detail", "unmapped", "activity_name", "actor"}
OCSF_FIELDS |= {"device", "file", "process", "api", "src_endpoint", "dst_endpoint"}
OCSF_OBJECTS = {
    "metadata": {"version", "product", "uid", "correlation_uid", "event_code", "log_name", "original_time", "sequence"},
    "actor": {"app_name", "process", "user"},
    "process": {"pid", "uid", "cmd_line", "parent_process"},
    "device": {"hostname", "type_id"},
    "file": {"name", "path", "type_id", "hashes", "owner"},
    "api": {"operation", "service"},
    "src_endpoint": {"hostname"},
    "dst_endpoint": {"hostname"},
}


def flat(value, prefix=""):
    for name, entry in value.items():
        if isinstance(entry, dict):
            yield from flat(entry, f"{prefix}{name}.")
        else:
            yield prefix + name, entry


def check_ecs(event):
    own = event.pop("scripts_toolkit", {})
    assert set(own) <= {"run_id", "script", "details"}
    for name, value in flat(event):
        assert isinstance(value, ECS[name]), name
    assert event["ecs"]["version"] == ECS_VERSION
    assert event["event"]["kind"] == "event"
    assert event["event"]["outcome"] in ("success", "failure", "unknown")
    for category in event["event"]["category"]:
        assert set(event["event"]["type"]) <= ECS_TYPES[category]


def check_ocsf(event):
    kind = event["class_uid"]
    assert set(event) >= OCSF_BASE | OCSF_REQUIRED[kind]
    assert set(event) <= OCSF_FIELDS
    assert event["activity_id"] in OCSF_ACTIVITIES[kind]
    assert event["type_uid"] == kind * 100 + event["activity_id"]
    assert event["category_uid"] == {0: 0, 1001: 1, 1007: 1, 6003: 6}[kind]
    assert event["severity_id"] in (1, 3)
    assert event["status_id"] in (0, 1, 2)
    assert isinstance(event["time"], int)
    assert event["metadata"]["version"] == "1.3.0"
    assert event["metadata"]["product"]["name"]
    for name, allowed in OCSF_OBJECTS.items():
        assert set(event.get(name, {})) <= allowed
    if kind == 1001:
        assert event["file"]["name"]
        assert {"type_id"} <= set(event["file"])
        assert {"type_id"} <= set(event["device"])
        assert all({"algorithm_id", "value"} <= set(entry) for entry in event["file"].get("hashes", []))


@pytest.fixture
def entries(tmp_path):
    trail = Trail(tmp_path)
    run = trail.start()
    run.event("PLAY_START", play=1, name="Web", hosts="web")
    run.task(host="web1", status="changed", duration_ms=12)
    run.task(host="web2", status="failed", msg="disk full")
    run.event("FILE_MODIFICATION", host="web1", path="/etc/motd", operation="CREATE", mode="0644", owner="root",
              sha256_after="ab" * 32, kind="file", task="Do it")  # fmt: skip
    run.event("FILE_MODIFICATION", host="web1", path="/etc/motd", operation="DELETE")
    run.event(
        "SENSITIVE_ACCESS", host="web1", reason="path", access="READ", path="/etc/shadow", module="a.b.c", task="T"
    )
    run.event("SENSITIVE_ACCESS", host="web1", reason="become", access="EXECUTE", become_user="root", task="T")
    run.event("CONFIG_CHANGE", changed={"detail": ["summary", "none"]})
    run.end("failed")
    trail.integrate()
    with trail.index() as index:
        return list(index.each(Filters()))


def test_every_kind_of_event_fits_the_elastic_common_schema(entries):
    for entry in entries:
        check_ecs(to_ecs(entry))
    created = next(to_ecs(entry) for entry in entries if entry["details"].get("operation") == "CREATE")
    assert created["event"]["type"] == ["creation"]
    assert created["file"].pop("hash") == {"sha256": "ab" * 32}
    about = {"path": "/etc/motd", "name": "motd", "directory": "/etc", "mode": "0644", "owner": "root"}
    assert created["file"] == about
    assert created["host"]["name"] == "web1"
    assert created["observer"]["hostname"] == "ctl01"
    failed = next(to_ecs(entry) for entry in entries if entry["details"].get("msg"))
    assert (failed["event"]["outcome"], failed["error"]["message"]) == ("failure", "disk full")
    changed = next(to_ecs(entry) for entry in entries if entry["details"].get("duration_ms") == 12)
    assert (changed["event"]["duration"], changed["event"]["type"]) == (12_000_000, ["change"])
    ids = [to_ecs(entry)["event"]["id"] for entry in entries]
    assert len(set(ids)) == len(entries)


def test_every_kind_of_event_fits_the_open_cybersecurity_schema(entries):
    shown = [to_ocsf(entry) for entry in entries]
    for entry, event in zip(entries, shown, strict=True):
        check_ocsf(event)
        assert event["time"] == parse_time(entry["timestamp"])
        assert event["unmapped"]["details"] == entry["details"]
    assert {event["class_uid"] for event in shown} == {0, 1001, 1007, 6003}
    created = next(event for event in shown if event["type_uid"] == 100101)
    assert created["file"]["hashes"] == [{"algorithm_id": 3, "algorithm": "SHA-256", "value": "ab" * 32}]
    read = next(event for event in shown if event["type_uid"] == 100102)
    assert read["file"]["path"] == "/etc/shadow"
    assert [event["status"] for event in shown if event["type_uid"] == 100702] == ["Failure"]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)
FIELDS = ("host", "path", "operation", "access", "msg", "status", "duration_ms", "mode", "owner", "kind", "become_user",
          "changed", "module", "sha256_after")  # fmt: skip


@settings(max_examples=50)
@given(
    st.sampled_from(["TASK_RESULT", "FILE_MODIFICATION", "SENSITIVE_ACCESS", "EXECUTION_END", "KEY_ADDED", "OWN"]),
    st.dictionaries(st.sampled_from(FIELDS), ANYTHING) | ANYTHING,
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("user", "uid", "pid", "hostname", "command_line", "run_id", "script"), ANYTHING)
    ),
)
def test_strange_entries_are_exported_in_form_too(event, details, rest):
    entry = {"event_type": event, "details": details, "timestamp": "2026-01-02T03:04:05.678Z", "salt": "00", **rest}
    check_ecs(to_ecs(entry))
    shown = to_ocsf(entry)
    check_ocsf(shown)
    json.dumps(shown)
