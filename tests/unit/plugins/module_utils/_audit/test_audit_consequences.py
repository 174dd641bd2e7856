# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What results tell beside themselves: files, sensitive paths, events of a playbook's own."""

from __future__ import annotations

import pytest

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.record.custom import (
    RESERVED,
    custom_events,
    event_type_problem,
)
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.record.files import file_modifications
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.record.redact import Redactor
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.record.sensitive import (
    SensitivePaths,
    command_text,
)

SHA256, SHA1 = "a1" * 32, "b2" * 20


def told(data, module="ansible.builtin.copy", options=None):
    return list(file_modifications(data, lambda: options or {}, module, SensitivePaths(), str))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"dest": "/a", "checksum": SHA1}, {"operation": "MODIFY", "sha1_after": SHA1}),
        ({"dest": "/a", "checksum": SHA256}, {"operation": "MODIFY", "sha256_after": SHA256}),
        ({"dest": "/a", "checksum": "no digest"}, {"operation": "MODIFY"}),
        ({"path": "/a", "state": "absent"}, {"operation": "DELETE"}),
        (
            {"path": "/a", "state": "directory", "mode": "0700"},
            {"operation": "MODIFY", "mode": "0700", "kind": "directory"},
        ),
        ({"path": "/a", "diff": {"before": {"state": "absent"}}}, {"operation": "CREATE"}),
        ({"path": "/a", "diff": [{"before": "x"}]}, {"operation": "MODIFY"}),
        ({"dest": "/etc/shadow", "checksum": SHA256}, {"operation": "MODIFY", "sensitive": True}),
    ],
)
def test_one_file(data, expected):
    (made,) = told(data)
    assert made == {"path": data.get("dest") or data["path"], **expected}


def test_the_path_may_stand_in_the_options_only():
    assert told({"msg": "line added"}, "ansible.builtin.lineinfile", {"path": "/etc/hosts"})[0]["path"] == "/etc/hosts"
    assert told({"msg": "x"}, "ansible.builtin.command", {"path": "/etc/hosts"}) == []
    assert told({"dest": "https://example.com/x"}) == []


def test_bulk_modules_tell_each_file():
    outcomes = [
        {"item": "/a", "changed": True, "operation": "create", "checksum_before": None, "checksum_after": SHA256},
        {"item": "/b", "changed": True, "operation": "attributes", "mode": "0600", "owner": "root"},
        {"item": "/c", "changed": True, "operation": "delete", "checksum_before": SHA256, "checksum_after": None},
        {"item": "/d", "changed": True, "operation": "modify", "sensitive": True, "checksum_after": SHA256},
        {"item": "/etc/ssl/private/e.key", "changed": True, "operation": "modify", "checksum_after": SHA256},
        {"item": "/f", "changed": False, "operation": None},
        {"item": "nginx", "changed": True, "operation": "modify"},
        {"item": "/g", "changed": True},
    ]
    assert told({"outcomes": outcomes}, "scripts.toolkit.file_tree") == [
        {"path": "/a", "operation": "CREATE", "sha256_after": SHA256},
        {"path": "/b", "operation": "MODIFY", "owner": "root", "mode": "0600"},
        {"path": "/c", "operation": "DELETE", "sha256_before": SHA256},
        {"path": "/d", "operation": "MODIFY"},
        {"path": "/etc/ssl/private/e.key", "operation": "MODIFY", "sensitive": True},
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("cat /etc/shadow", "/etc/shadow"),
        ("cat '/etc/shadow-' | wc", "/etc/shadow-"),
        ("grep root </etc/shadow;true", "/etc/shadow"),
        ("cp /home/eve/.ssh/id_rsa /tmp", "/home/eve/.ssh/id_rsa"),
        ("openssl x509 -key=/srv/tls.key", "/srv/tls.key"),
        ("echo /etc/shadowy/x", "/etc/shadowy/x"),
        ("cat /etc/hosts", None),
        ("echo monkey.keys", None),
        ("", None),
    ],
)
def test_sensitive_paths_in_commands(text, found):
    assert SensitivePaths().mentioned(text) == found


def test_sensitive_paths():
    paths = SensitivePaths(["/srv/secret/*", "*.pem"])
    assert "/srv/secret/a b/c" in paths
    assert "/x/y.pem" in paths
    assert "/srv/secrets" not in paths
    assert "/etc/shadow" not in paths
    assert "/etc/shadow" not in SensitivePaths([])
    assert SensitivePaths([]).mentioned("cat /etc/shadow") is None


def test_the_command_of_a_task():
    assert command_text({"_raw_params": "a b"}) == "a b"
    assert command_text({"cmd": "c"}) == "c"
    assert command_text({"argv": ["d", 1]}) == "d 1"
    assert command_text({}) == ""


@pytest.mark.parametrize("event_type", [*sorted(RESERVED), "deploy", "AB", "A" * 65, "A B", "A\n", 3, None])
def test_types_that_events_of_a_playbook_can_not_have(event_type):
    assert event_type_problem(event_type)
    carried = {"audit_events": [{"event_type": event_type, "details": {"a": 1}}]}
    assert list(custom_events(carried, {}, Redactor())) == []


def test_events_of_a_playbook():
    carried = [{"event_type": "DEPLOYMENT", "details": {"a": 1, "password": "x", "source": "forged"}}, "no event", {}]
    made = list(custom_events({"audit_events": carried}, {"host": "web01"}, Redactor()))
    assert made == [("DEPLOYMENT", {"a": 1, "password": "***", "source": {"host": "web01"}})]
    assert list(custom_events({"audit_events": "no list"}, {}, Redactor())) == []
    assert len(list(custom_events({"audit_events": carried[:1] * 5000}, {}, Redactor()))) == 1000
