# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.metrics.targets import (
    JOURNAL_SOCKET,
    complaints,
    load_targets,
    parse_sink,
    parse_witness,
)
from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ValidationError
from ansible_collections.scripts.toolkit.plugins.module_utils._core.signed_note import Verifier

VKEY = Verifier("witness.example.com", b"\1" * 32, 4).vkey
LOG_KEY = Verifier("log.example.com", b"\1" * 32).vkey


def test_the_journal():
    plain, other = parse_witness("journal"), parse_witness("journal:/run/other")
    assert (plain.kind, plain.name, plain.path) == ("journal", "journal", JOURNAL_SOCKET)
    assert (other.kind, other.path) == ("journal", "/run/other")
    assert other.name.startswith("journal-other-")


def test_a_directory():
    found = parse_witness(" directory:/mnt/a b/../witness/ ")
    assert (found.kind, found.path) == ("directory", "/mnt/witness")
    assert "/" not in found.name


def test_a_server():
    found = parse_witness(f"https://witness.example.com:8443/a/b/?ca_file=/etc/ca.pem&timeout=3#{VKEY}")
    assert found.access.url == "https://witness.example.com:8443/a/b"
    assert (found.access.ca_file, found.access.timeout, found.access.token_file) == ("/etc/ca.pem", 3.0, None)
    assert found.verifier.vkey == VKEY
    assert found.name.startswith("witness.example.com-")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "is no witness"),
        ("jornal", "is no witness"),
        ("ftp://x/y", "is no witness"),
        ("journal:socket", "no absolute path"),
        ("directory:", "no absolute path"),
        ("https://w.example.com/", "pins no key"),
        ("https://w.example.com/#nonsense", "pins no key"),
        (f"https://w.example.com/#{LOG_KEY}", "no key of a witness"),
        (f"https://w.example.com/#{VKEY[:-4]}AAA=", "pins no key"),
        (f"https:///path#{VKEY}", "no URL with a host"),
        (f"https://w:99999/#{VKEY}", "is no URL"),
        (f"https://[w/#{VKEY}", "is no URL"),
        (f"https://w.example.com/?token=hunter2#{VKEY}", "unknown parameter 'token'"),
        (f"https://w.example.com/?ca_file=ca.pem#{VKEY}", "no absolute path in ca_file"),
        (f"https://w.example.com/?timeout=never#{VKEY}", "no good timeout"),
        (f"https://w.example.com/?timeout=nan#{VKEY}", "no good timeout"),
        (f"https://w.example.com/?timeout=1e9#{VKEY}", "no good timeout"),
        (f"https://me:hunter2@w.example.com/#{VKEY}", "has credentials"),
    ],
)
def test_a_bad_witness_names_the_option_and_repeats_no_secret(text, word):
    with pytest.raises(ValidationError, match=word) as caught:
        parse_witness(text)
    assert caught.value.message.startswith("witnesses: ")
    assert caught.value.hint
    assert "hunter2" not in json.dumps(caught.value.as_dict())


def test_sinks():
    push = parse_sink("pushgateway+http://push.example.com:9091")
    assert (push.kind, push.access.url) == ("pushgateway", "http://push.example.com:9091")
    otlp = parse_sink("otlp+https://otel.example.com/v1/metrics?token_file=/run/token&ca_file=/ca")
    assert (otlp.access.url, otlp.access.token_file) == ("https://otel.example.com/v1/metrics", "/run/token")
    influx = parse_sink("influxdb+http://db:8086?db=ansible&username=me&password_file=/run/pw")
    assert influx.query == (("db", "ansible"),)
    assert (influx.access.username, influx.access.password_file) == ("me", "/run/pw")
    assert parse_sink("influxdb+http://db?org=o&bucket=b").query == (("org", "o"), ("bucket", "b"))
    assert len({push.name, otlp.name, influx.name}) == 3


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "no sink"),
        ("http://push:9091", "no sink"),
        ("statsd+http://x", "no sink"),
        ("otlp+grpc://x", "no sink"),
        ("otlp+http://", "no URL with a host"),
        ("otlp+http://a b/", "no URL with a host"),
        ("otlp+http://x/#y", "has a #"),
        ("otlp+http://x/?db=y", "unknown parameter 'db'"),
        ("otlp+http://x/?token=hunter2", "unknown parameter 'token'"),
        ("otlp+http://x/?password=hunter2", "unknown parameter 'password'"),
        ("otlp+http://hunter2@x/", "has credentials"),
        ("otlp+http://me:hunter2@x/", "has credentials"),
        ("otlp+http://x/?username=me", "username and password_file together"),
        ("otlp+http://x/?username=me&password_file=/p&token_file=/t", "username and password_file together"),
        ("influxdb+http://x", "names no database"),
        ("influxdb+http://x?db=", "names no database"),
        ("influxdb+http://x?db=a&bucket=b", "names no database"),
    ],
)
def test_a_bad_sink_names_the_option_and_repeats_no_secret(text, word):
    with pytest.raises(ValidationError, match=word) as caught:
        parse_sink(text)
    assert caught.value.message.startswith("metrics_sinks: ")
    assert caught.value.hint
    assert "hunter2" not in json.dumps(caught.value.as_dict())


def test_complaints_name_every_bad_entry():
    found = complaints(["journal", "", "nonsense"], ["otlp+http://x", "otlp+nonsense"])
    assert [error.message.partition(":")[0] for error in found] == ["witnesses", "metrics_sinks"]


def test_without_settings_the_journal_is_the_witness(tmp_path):
    targets = load_targets(str(tmp_path))
    assert [target.text for target in targets.witnesses] == ["journal"]
    assert (targets.sinks, targets.metrics_path, targets.wrong) == ([], None, [])


def test_a_bad_entry_keeps_no_other_from_its_work(tmp_path):
    settings = {
        "witnesses": ["journal", "nonsense", "journal", "directory:/mnt"],
        "metrics_sinks": ["otlp+http://x", "otlp+nonsense"],
        "metrics_path": "/x.prom",
    }
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    targets = load_targets(str(tmp_path))
    assert [target.kind for target in targets.witnesses] == ["journal", "directory"]
    assert [target.kind for target in targets.sinks] == ["otlp"]
    assert targets.metrics_path == "/x.prom"
    assert [text for text, _error in targets.wrong] == ["nonsense", "otlp+nonsense"]


@pytest.mark.parametrize("text", ["{", "[]", "null", '"x"'])
def test_settings_that_are_none_are_told(tmp_path, text):
    (tmp_path / "settings.json").write_text(text)
    targets = load_targets(str(tmp_path))
    assert len(targets.wrong) == 1
    assert [target.text for target in targets.witnesses] == ["journal"]


@pytest.mark.parametrize("nothing", [[], [""], None])
def test_no_witnesses_are_none(tmp_path, nothing):
    (tmp_path / "settings.json").write_text(json.dumps({"witnesses": nothing}))
    targets = load_targets(str(tmp_path))
    assert (targets.witnesses, targets.wrong) == ([], [])
