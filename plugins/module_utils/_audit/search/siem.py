# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Entries in the words of SIEMs: the Elastic Common Schema (https://www.elastic.co/docs/reference/ecs) and the Open
Cybersecurity Schema Framework (https://schema.ocsf.io). What a schema has no field for stays as it was recorded, under
``scripts_toolkit`` (ECS) or ``unmapped`` (OCSF)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from .index.rows import RowMaker
from .render import what

__all__ = ["ECS_VERSION", "OCSF_VERSION", "SCHEMAS", "to_ecs", "to_ocsf"]

ECS_VERSION = "8.17.0"
OCSF_VERSION = "1.3.0"
_PRODUCT = "scripts.toolkit"
_VENDOR = "scripts.toolkit contributors"

_FAILED = frozenset(("failed", "unreachable", "interrupted"))
_ECS: Mapping[str, tuple[list[str], list[str]]] = {
    "EXECUTION_START": (["process"], ["start"]),
    "EXECUTION_END": (["process"], ["end"]),
    "INTERRUPTED": (["process"], ["end"]),
    "PLAY_START": (["configuration"], ["info"]),
    "TASK_RESULT": (["configuration"], ["info"]),
    "FILE_MODIFICATION": (["file"], ["change"]),
    "SENSITIVE_ACCESS": (["iam"], ["info"]),
    "CONFIG_CHANGE": (["configuration"], ["change"]),
    "KEY_ADDED": (["configuration"], ["creation"]),
    "KEY_RETIRED": (["configuration"], ["deletion"]),
    "ENTRY_ERASED": (["configuration"], ["deletion"]),
    "LOG_PRUNED": (["configuration"], ["deletion"]),
}
_ECS_FILE = {"CREATE": "creation", "MODIFY": "change", "DELETE": "deletion"}
_OCSF_FILE = {"CREATE": 1, "READ": 2, "MODIFY": 3, "WRITE": 3, "DELETE": 4}
_OCSF_KIND = {"file": 1, "directory": 2, "link": 7}
_HASHES = {"sha256_after": ("sha256", 3, "SHA-256"), "sha1_after": ("sha1", 2, "SHA-1")}


def _details(entry: Mapping) -> Mapping:
    details = entry.get("details")
    return details if isinstance(details, Mapping) else {"value": details}


def _present(values: Mapping) -> dict:
    """Return what has a value, nested dicts likewise."""
    kept = {}
    for name, value in values.items():
        value = _present(value) if isinstance(value, dict) else value
        if value not in (None, "", {}, []):
            kept[name] = value
    return kept


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _id(entry: Mapping) -> str:
    """Return what names an entry for good: the random salt that every entry has."""
    return f"{entry.get('run_id')}/{entry.get('salt')}"


def _outcome(details: Mapping) -> str:
    status = details.get("status")
    return "unknown" if not isinstance(status, str) else "failure" if status in _FAILED else "success"


def to_ecs(entry: Mapping) -> dict:
    """Return an entry (a record, with ``index`` where it is known) as an ECS event."""
    details, event = _details(entry), str(entry.get("event_type"))
    category, kind = _ECS.get(event, (["configuration"], ["info"]))
    path = _text(details.get("path"))
    if event == "FILE_MODIFICATION":
        kind = [_ECS_FILE.get(str(details.get("operation")), "change")]
    elif event == "SENSITIVE_ACCESS" and path:
        category, kind = ["file"], ["access"]
    elif event == "TASK_RESULT" and details.get("changed") is True:
        kind = ["change"]
    milliseconds = _number(details.get("duration_ms"))
    host, user = _text(details.get("host")), _text(entry.get("user"))
    hashes = {name: _text(details.get(key)) for key, (name, _number_, _label) in _HASHES.items()}
    failed = _outcome(details) == "failure"
    return _present(
        {
            "@timestamp": entry.get("timestamp"),
            "ecs": {"version": ECS_VERSION},
            "message": what(entry),
            "event": {
                "kind": "event",
                "category": category,
                "type": kind,
                "action": event.lower(),
                "outcome": _outcome(details),
                "module": "scripts_toolkit",
                "dataset": "scripts_toolkit.audit",
                "provider": _PRODUCT,
                "id": _id(entry),
                "sequence": _number(entry.get("index")),
                "duration": None if milliseconds is None else milliseconds * 1_000_000,
            },
            "user": {
                "name": user,
                "id": None if entry.get("uid") is None else str(entry.get("uid")),
                "effective": {"name": _text(details.get("become_user"))},
            },
            "host": {"name": host or _text(entry.get("hostname"))},
            "observer": {"hostname": _text(entry.get("hostname")), "product": _PRODUCT, "vendor": _VENDOR},
            "process": {
                "pid": _number(entry.get("pid")),
                "parent": {"pid": _number(entry.get("ppid"))},
                "command_line": _text(entry.get("command_line")),
                "working_directory": _text(entry.get("working_directory")),
            },
            "file": {
                "path": path,
                "name": os.path.basename(path) if path else None,
                "directory": os.path.dirname(path) if path else None,
                "mode": _text(details.get("mode")),
                "owner": _text(details.get("owner")),
                "group": _text(details.get("group")),
                "hash": hashes,
            },
            "error": {"message": _text(details.get("msg")) if failed else None},
            "related": {
                "hosts": sorted({name for name in (host, _text(entry.get("hostname"))) if name}),
                "user": sorted({name for name in (user, _text(details.get("become_user"))) if name}),
                "hash": sorted({value for value in hashes.values() if value}),
            },
            "scripts_toolkit": {
                "run_id": entry.get("run_id"),
                "script": entry.get("script"),
                "details": dict(details),
            },
        }
    )


def _base(entry: Mapping, class_uid: int, activity: int) -> dict:
    details = _details(entry)
    outcome = _outcome(details)
    milliseconds, _exact = RowMaker().milliseconds(entry.get("timestamp"))
    return {
        "activity_id": activity,
        "category_uid": class_uid // 1000,
        "class_uid": class_uid,
        "type_uid": class_uid * 100 + activity,
        "severity_id": 3 if outcome == "failure" else 1,
        "time": milliseconds,
        "message": what(entry),
        "status_id": {"success": 1, "failure": 2}.get(outcome, 0),
        "status": {"success": "Success", "failure": "Failure"}.get(outcome, "Unknown"),
        "status_detail": _text(details.get("msg")),
        "metadata": {
            "version": OCSF_VERSION,
            "product": {"name": _PRODUCT, "vendor_name": _VENDOR},
            "uid": _id(entry),
            "correlation_uid": _text(entry.get("run_id")),
            "event_code": str(entry.get("event_type")),
            "log_name": "audit",
            "original_time": _text(entry.get("timestamp")),
            "sequence": _number(entry.get("index")),
        },
        "unmapped": {"script": entry.get("script"), "details": dict(details)},
    }


def _actor(entry: Mapping) -> dict:
    uid = entry.get("uid")
    user = {"name": _text(entry.get("user")), "uid": None if uid is None else str(uid), "type_id": 2 if uid == 0 else 1}
    return {"app_name": "ansible", "process": _process(entry), "user": user}


def _process(entry: Mapping) -> dict:
    return {
        "pid": _number(entry.get("pid")),
        "uid": _text(entry.get("run_id")),
        "cmd_line": _text(entry.get("command_line")),
        "parent_process": {"pid": _number(entry.get("ppid"))},
    }


def to_ocsf(entry: Mapping) -> dict:
    """Return an entry as an OCSF event.

    File System Activity (1001) for files, Process Activity (1007) for the start and end of a run, API Activity (6003)
    for what a module did on a host, Base Event (0) for what the log says of itself.
    """
    details, event = _details(entry), str(entry.get("event_type"))
    path, host = _text(details.get("path")), _text(details.get("host"))
    controller = _text(entry.get("hostname")) or "unknown"
    if path and event in ("FILE_MODIFICATION", "SENSITIVE_ACCESS"):
        activity = _OCSF_FILE.get(str(details.get("operation") or details.get("access")), 99)
        hashes = [
            {"algorithm_id": number, "algorithm": label, "value": details[key]}
            for key, (_name, number, label) in _HASHES.items()
            if isinstance(details.get(key), str)
        ]
        owner = _text(details.get("owner"))
        shown = {
            **_base(entry, 1001, activity),
            "actor": _actor(entry),
            "device": {"hostname": host or controller, "type_id": 0},
            "file": {
                "name": os.path.basename(path.rstrip("/")) or path,
                "path": path,
                "type_id": _OCSF_KIND.get(str(details.get("kind") or "file"), 0),
                "hashes": hashes,
                "owner": {"name": owner} if owner else None,
            },
        }
    elif event in ("EXECUTION_START", "EXECUTION_END", "INTERRUPTED"):
        shown = {
            **_base(entry, 1007, 1 if event == "EXECUTION_START" else 2),
            "actor": _actor(entry),
            "device": {"hostname": controller, "type_id": 0},
            "process": _process(entry),
        }
    elif event in ("TASK_RESULT", "SENSITIVE_ACCESS", "PLAY_START"):
        activity = 3 if details.get("changed") is True else 2 if details.get("access") == "READ" else 99
        shown = {
            **_base(entry, 6003, activity),
            "actor": _actor(entry),
            "api": {"operation": _text(details.get("module")) or event.lower(), "service": {"name": "ansible"}},
            "src_endpoint": {"hostname": controller},
            "dst_endpoint": {"hostname": host},
        }
    else:
        shown = {**_base(entry, 0, 99), "activity_name": event}
    kept = _present(shown)
    if shown["class_uid"] == 1007:
        kept.setdefault("process", {"uid": "unknown"})
    for name in ("activity_id", "category_uid", "class_uid", "type_uid", "status_id", "time"):
        kept[name] = shown[name]
    return kept


SCHEMAS: Mapping[str, Callable[[Mapping], dict]] = {"ecs": to_ecs, "ocsf": to_ocsf}
