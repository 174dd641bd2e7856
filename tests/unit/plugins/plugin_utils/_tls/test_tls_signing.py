# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Both halves of tls_certificate together; the host's half runs in this process on files of its own."""

from __future__ import annotations

import json
import os

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ValidationError
from ansible_collections.scripts.toolkit.plugins.module_utils._tls import x509
from ansible_collections.scripts.toolkit.plugins.module_utils._tls.issue import Certificates
from ansible_collections.scripts.toolkit.plugins.module_utils._tls.options import parse_all, tls_certificate_spec
from ansible_collections.scripts.toolkit.plugins.plugin_utils._tls.signing import Signing


class Host:
    """A host: its files, and the calls that were made to it."""

    def __init__(self, tmp_path, arguments):
        self.store = str(tmp_path / "host")
        self.arguments = arguments
        self.calls: list[dict] = []
        self.tamper = lambda result: result

    def run(self, check_mode=False) -> dict:
        self.calls.clear()

        def call(**private):
            self.calls.append(private)
            arguments = {name: value for name, value in self.arguments.items() if name != "ca"}
            parameters = (
                ArgumentSpecValidator(tls_certificate_spec()).validate({**arguments, **private}).validated_parameters
            )
            wanted = parse_all(parameters["certificates"], self.store)
            certificates = Certificates(check_mode, parameters["_authority"])
            if parameters["_issued"] is not None:
                return certificates.install(wanted, parameters["_issued"]).result()
            result = {**certificates.prepare(wanted).result(), "requests": certificates.requests}
            return json.loads(json.dumps(self.tamper(result)))

        return Signing(self.arguments, "web01", check_mode).run(call)

    def certificate(self, name):
        with open(os.path.join(self.store, name, "fullchain.pem"), "rb") as handle:
            return x509.load_certificate(handle.read())


@pytest.fixture
def host(tmp_path) -> Host:
    who = {"owner": str(os.getuid()), "group": str(os.getgid())}
    return Host(
        tmp_path,
        {
            "certificates": [
                {"name": "a.example", "provider": "own_ca", **who},
                {"name": "b.example", "provider": "selfsigned", **who},
                {"name": "c.example", "provider": "own_ca", "domains": ["c.example", "d.example"], **who},
            ],
            "ca": {"directory": str(tmp_path / "ca"), "passphrase": "s3cret"},
        },
    )


def flags(result) -> list[tuple[str, bool]]:
    return [(entry["item"], entry["changed"]) for entry in result["outcomes"]]


def test_four_runs_and_their_calls(host, tmp_path):
    predicted = host.run(check_mode=True)
    assert os.listdir(tmp_path) == []
    done = host.run()
    assert len(host.calls) == 2
    assert flags(predicted) == flags(done) == [("a.example", True), ("b.example", True), ("c.example", True)]
    assert [entry["status"] for entry in done["outcomes"]] == ["issued"] * 3
    assert len(done["diff"]) == 3
    for check_mode in (True, False):
        again = host.run(check_mode)
        assert len(host.calls) == 1
        assert (again["changed"], again["diff"], again["failed"]) == (False, [], False)
        assert [entry["serial"] for entry in again["outcomes"]] == [entry["serial"] for entry in done["outcomes"]]
        assert again["ca"]["fingerprint_sha256"] == done["ca"]["fingerprint_sha256"]


def test_the_passphrase_never_goes_to_the_host_nor_into_the_result(host):
    result = host.run()
    assert "s3cret" not in repr(host.calls)
    assert "s3cret" not in repr(result)
    assert "PRIVATE KEY" not in repr(host.calls)


def test_without_own_ca_there_is_one_call_and_no_ca(host, tmp_path):
    host.arguments["certificates"] = host.arguments["certificates"][1:2]
    assert host.run()["changed"] is True
    assert len(host.calls) == 1
    assert not (tmp_path / "ca").exists()


def test_a_new_ca_issues_everything_again(host, tmp_path):
    host.run()
    os.rename(tmp_path / "ca", tmp_path / "retired")
    predicted = host.run(check_mode=True)
    done = host.run()
    assert flags(predicted) == flags(done) == [("a.example", True), ("b.example", False), ("c.example", True)]
    assert done["outcomes"][0]["status"] == "renewed"
    assert host.run()["changed"] is False


def test_a_host_gets_no_names_that_its_task_does_not_give_it(host):
    def ask_for_more(result):
        stolen = {"name": "bank.example", "reason": "x", "request": result["requests"][0]["request"]}
        selfsigned = {"name": "b.example", "reason": "x", "request": result["requests"][0]["request"]}
        return {**result, "requests": [*result["requests"], stolen, selfsigned]}

    host.tamper = ask_for_more
    host.run()
    recorded = open(os.path.join(host.arguments["ca"]["directory"], "issued.jsonl"), encoding="utf-8").read()
    assert sorted(json.loads(line)["name"] for line in recorded.splitlines()) == ["a.example", "c.example"]
    assert x509.names_of(host.certificate("c.example")) == {"c.example", "d.example"}


def test_a_request_that_is_refused_fails_alone(host):
    def spoil(result):
        result["requests"][0]["request"] = "garbage"
        return result

    host.tamper = spoil
    result = host.run()
    assert result["failed"]
    assert result["error"]["kind"] == "integrity"
    assert result["error"]["item"] == "a.example"
    assert flags(result) == [("a.example", False), ("b.example", True), ("c.example", True)]
    assert host.certificate("c.example") is not None
    host.tamper = lambda whole: whole
    assert flags(host.run()) == [("a.example", True), ("b.example", False), ("c.example", False)]


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_wrong_passphrase_fails_what_is_to_be_signed_and_nothing_else(host, check_mode):
    host.run()
    host.arguments["certificates"][0]["domains"] = ["new.example"]
    host.arguments["ca"]["passphrase"] = "wrong"
    before = host.certificate("a.example")
    result = host.run(check_mode)
    assert result["failed"]
    assert result["error"]["kind"] == "permission"
    assert "ca.passphrase" in result["msg"]
    assert flags(result) == [("a.example", False), ("b.example", False), ("c.example", False)]
    assert host.certificate("a.example") == before


def test_while_nothing_is_to_be_signed_the_passphrase_is_not_needed(host):
    host.run()
    del host.arguments["ca"]["passphrase"]
    assert host.run()["failed"] is False


def test_a_bad_option_fails_before_anything_is_done(host):
    host.arguments["certificates"][2]["domains"] = ["c.example", "not a name"]
    with pytest.raises(ValidationError, match="domains: 'not a name'"):
        host.run()
    assert host.calls == []
    host.arguments["certificates"][2]["domains"] = ["c.example"]
    host.arguments["certificates"][2]["colour"] = "blue"
    with pytest.raises(ValidationError, match="colour"):
        host.run()


def test_an_error_of_the_host_keeps_its_kind(host, tmp_path):
    host.arguments["certificates"][1]["owner"] = "nobody-has-this-name"
    result = host.run()
    assert result["failed"]
    assert result["error"]["kind"] == "not_found"
    assert result["error"]["item"] == "b.example"
    assert flags(result) == [("a.example", True), ("b.example", False), ("c.example", True)]


def test_a_host_that_goes_away_before_the_second_call(host):
    done = Signing(host.arguments, "web01", False).run(
        lambda **private: {"failed": True, "msg": "unreachable", "unreachable": True}
    )
    assert done["unreachable"] is True
