# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host's half of tls_certificate, on real files with real keys."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import DependencyError
from ansible_collections.scripts.toolkit.plugins.module_utils._system import owed
from ansible_collections.scripts.toolkit.plugins.module_utils._tls import pair, x509
from ansible_collections.scripts.toolkit.plugins.module_utils._tls.issue import Certificates
from ansible_collections.scripts.toolkit.plugins.module_utils._tls.names import normal_names
from ansible_collections.scripts.toolkit.plugins.module_utils._tls.options import Wanted
from ansible_collections.scripts.toolkit.plugins.module_utils._tls.pair import CERT, CHAIN, FILES, FULLCHAIN, KEY
from ansible_collections.scripts.toolkit.plugins.module_utils._tls.x509 import KeyKind

NOW = datetime(2026, 6, 1, 12, tzinfo=timezone.utc)


@pytest.fixture
def wanted(tmp_path, monkeypatch) -> Wanted:
    monkeypatch.setattr(owed, "base_directory", lambda _purpose: str(tmp_path / "state"))
    store = str(tmp_path / "ssl" / "site")
    return Wanted(
        name="site",
        domains=names_from("www.example.com", "192.0.2.1"),
        provider="selfsigned",
        kind=KeyKind(),
        usages=("server",),
        lifetime=90,
        renew_before=30,
        renew_key=False,
        store=store,
        paths={name: os.path.join(store, name) for name in FILES},
        owner=str(os.getuid()),
        group=str(os.getgid()),
        mode=0o600,
        notify={"nginx.service": "reload"},
    )


def names_from(*names):
    return normal_names(list(names))


def run(wanted, now=NOW, check_mode=False, authority=None):
    """Return result and requests of one run."""
    certificates = Certificates(check_mode, authority, now)
    result = certificates.prepare([wanted]).result()
    return result, certificates.requests


def read(wanted, name) -> bytes:
    with open(wanted.paths[name], "rb") as handle:
        return handle.read()


def tree(directory) -> set[str]:
    return {os.path.join(root, name) for root, _dirs, names in os.walk(directory) for name in [*_dirs, *names]}


def test_four_runs(wanted, tmp_path):
    before = tree(tmp_path)
    checked, _requests = run(wanted, check_mode=True)
    assert tree(tmp_path) == before
    done, _requests = run(wanted)
    assert checked["changed"] is done["changed"] is True
    assert [entry["status"] for entry in (*checked["outcomes"], *done["outcomes"])] == ["issued", "issued"]
    for check_mode in (True, False):
        again, _requests = run(wanted, check_mode=check_mode)
        assert again["changed"] is False
        assert again["diff"] == []
        assert again["outcomes"][0]["serial"] == done["outcomes"][0]["serial"]


def test_what_is_told_of_a_certificate_is_true_and_has_no_secret(wanted):
    done, _requests = run(wanted)
    (outcome,) = done["outcomes"]
    certificate = x509.load_certificate(read(wanted, CERT))
    assert outcome["domains"] == ["192.0.2.1", "www.example.com"]
    assert outcome["not_after"] == "2026-08-30T12:00:00Z"
    assert int(outcome["serial"], 16) == certificate.serial_number
    assert outcome["fingerprint_sha256"] == x509.fingerprint(certificate)
    assert outcome["issuer"] == "CN=www.example.com"
    assert "PRIVATE" not in repr(done)
    assert outcome["not_after"] in done["diff"][0]["after"]


def test_the_debt_is_noted(wanted):
    run(wanted)
    assert owed.owed() == {"nginx.service": "reload"}


def test_fullchain_and_chain_of_a_self_signed_certificate(wanted):
    run(wanted)
    assert read(wanted, FULLCHAIN) == read(wanted, CHAIN) == read(wanted, CERT)


@pytest.mark.parametrize("kind", [KeyKind("rsa", 2048), KeyKind("ecdsa", 384), KeyKind("ed25519", 0)], ids=str)
def test_kinds_of_keys(wanted, kind):
    run(replace(wanted, kind=kind))
    assert x509.key_kind(x509.load_key(read(wanted, KEY))) == kind
    assert x509.signed_by(x509.load_certificate(read(wanted, CERT)), x509.load_certificate(read(wanted, CERT)))
    assert run(replace(wanted, kind=kind))[0]["changed"] is False


@pytest.mark.parametrize(
    ("days", "reason"),
    [
        (59, None),
        (60, "within 30 days"),
        (89, "within 30 days"),
        (91, "expired on 2026-08-30"),
        (-1, "not valid before"),
    ],
)
def test_it_renews_in_time_and_keeps_the_key(wanted, days, reason):
    run(wanted)
    key = read(wanted, KEY)
    done, _requests = run(wanted, now=NOW + timedelta(days=days))
    assert done["changed"] is (reason is not None)
    if reason:
        assert reason in done["outcomes"][0]["reason"]
        assert done["outcomes"][0]["status"] == "renewed"
    assert read(wanted, KEY) == key


def test_it_renews_the_key_if_that_is_wanted(wanted):
    run(wanted)
    key = read(wanted, KEY)
    run(replace(wanted, renew_key=True), now=NOW + timedelta(days=70))
    assert read(wanted, KEY) != key
    assert x509.matching(read(wanted, KEY), read(wanted, CERT))
    assert not os.path.exists(os.path.join(wanted.store, pair.PENDING))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"domains": names_from("other.example")}, "the names differ"),
        ({"usages": ("client", "server")}, "the usages differ"),
        ({"kind": KeyKind("ecdsa", 384)}, "the key is ECDSA P-256, not ECDSA P-384"),
    ],
)
def test_it_issues_again_when_the_wishes_change(wanted, change, reason):
    run(wanted)
    other = replace(wanted, **change)
    assert run(other, check_mode=True)[0]["outcomes"][0]["reason"] == reason
    assert run(other)[0]["outcomes"][0]["reason"] == reason
    assert run(other)[0]["changed"] is False


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        (KEY, b"", "there is no key"),
        (KEY, b"garbage", "the key can't be read"),
        (KEY, x509.key_pem(x509.generate_key(KeyKind())), "does not belong to the key"),
        (CERT, b"garbage", "the certificate can't be read"),
        (CERT, b"", "there is no certificate"),
    ],
)
@pytest.mark.parametrize("provider", ["selfsigned", "placeholder"])
def test_it_issues_again_what_is_broken(wanted, provider, name, data, reason):
    wanted = replace(wanted, provider=provider)
    run(wanted)
    with open(wanted.paths[name], "wb") as handle:
        handle.write(data)
    done, _requests = run(wanted)
    assert reason in done["outcomes"][0]["reason"]
    assert x509.matching(read(wanted, KEY), read(wanted, CERT))
    assert run(wanted)[0]["changed"] is False


@pytest.mark.parametrize("name", [CHAIN, FULLCHAIN])
def test_it_repairs_chain_files_without_a_new_certificate(wanted, name):
    first, _requests = run(wanted)
    os.unlink(os.path.join(os.path.dirname(wanted.paths[name]), "current", name))
    assert run(wanted, check_mode=True)[0]["changed"] is True
    done, _requests = run(wanted)
    assert done["changed"] is True
    assert done["outcomes"][0]["status"] == "valid"
    assert done["outcomes"][0]["serial"] == first["outcomes"][0]["serial"]
    assert run(wanted)[0]["changed"] is False


def test_it_repairs_mode_and_missing_links(wanted):
    run(wanted)
    os.chmod(wanted.paths[KEY], 0o644)
    assert run(wanted, check_mode=True)[0]["changed"] is True
    assert run(wanted)[0]["changed"] is True
    assert stat.S_IMODE(os.stat(wanted.paths[KEY]).st_mode) == 0o600
    os.unlink(wanted.paths[CERT])
    assert run(wanted)[0]["outcomes"][0]["status"] == "valid"
    assert run(wanted)[0]["changed"] is False


def test_it_takes_a_good_pair_of_plain_files_as_it_is(wanted):
    run(wanted)
    found = {name: read(wanted, name) for name in FILES}
    for path in tree(wanted.store):
        if os.path.islink(path):
            os.unlink(path)
    for name, data in found.items():
        pair.create_private(wanted.paths[name], data)
    assert run(wanted)[0]["changed"] is False
    assert not os.path.islink(wanted.paths[KEY])


def test_a_placeholder_is_made_only_where_there_is_nothing(wanted):
    placeholder = replace(wanted, provider="placeholder")
    done, _requests = run(placeholder)
    assert done["outcomes"][0]["status"] == "placeholder"
    # Whatever names and dates it has: it is only there to be replaced.
    later, _requests = run(replace(placeholder, domains=names_from("b.example")), now=NOW + timedelta(days=900))
    assert later["changed"] is False


def test_a_placeholder_keeps_what_a_ca_has_issued(wanted):
    ca_key = x509.generate_key(KeyKind())
    ca = x509.build_certificate(ca_key.public_key(), names_from("ca.example"), [], NOW, NOW + timedelta(days=9), ca_key)
    key = x509.generate_key(KeyKind("rsa", 2048))
    made = x509.build_certificate(
        key.public_key(), wanted.domains, ["server"], NOW, NOW + timedelta(days=9), ca_key, ca
    )
    chain = x509.certificate_pem(ca) + x509.certificate_pem(ca)
    files = {KEY: x509.key_pem(key), CERT: x509.certificate_pem(made), CHAIN: chain}
    files[FULLCHAIN] = files[CERT] + chain
    attributes = {"mode": 0o600, "uid": os.getuid(), "gid": os.getgid()}
    with pair.locked(wanted.store):
        pair.install(wanted.store, wanted.paths, files, attributes, x509.matching)
    done, _requests = run(replace(wanted, provider="placeholder", mode=0o640))
    assert done["changed"] is False
    assert done["outcomes"][0]["status"] == "valid"
    assert {name: read(wanted, name) for name in FILES} == files


def test_an_own_ca_request_proves_the_key_and_is_the_same_after_a_crash(wanted):
    wanted = replace(wanted, provider="own_ca")
    first, (request,) = run(wanted)
    assert first["outcomes"][0]["changed"] is True
    assert not os.path.exists(wanted.paths[KEY])
    pending = os.path.join(wanted.store, pair.PENDING)
    assert stat.S_IMODE(os.stat(pending).st_mode) == 0o600
    key = open(pending, "rb").read()
    _second, (again,) = run(wanted)
    assert open(pending, "rb").read() == key
    assert "PRIVATE" not in request["request"]
    assert request["name"] == again["name"] == "site"


def test_half_a_pending_key_is_replaced(wanted):
    wanted = replace(wanted, provider="own_ca")
    os.makedirs(wanted.store)
    pending = os.path.join(wanted.store, pair.PENDING)
    pair.create_private(pending, b"-----BEGIN PRIVATE KEY-----\nMIG")
    run(wanted)
    assert x509.load_key(open(pending, "rb").read()) is not None


def test_a_certificate_for_another_key_is_not_installed(wanted):
    wanted = replace(wanted, provider="own_ca")
    run(wanted)
    key = x509.generate_key(KeyKind())
    made = x509.build_certificate(key.public_key(), wanted.domains, ["server"], NOW, NOW + timedelta(days=9), key)
    pem = x509.certificate_pem(made).decode()
    issued = {"site": {"certificate": pem, "chain": pem, "reason": "test"}}
    result = Certificates(now=NOW).install([wanted], issued).result()
    assert result["failed"]
    assert result["error"]["kind"] == "integrity"
    assert not os.path.exists(wanted.paths[CERT])


def test_an_unknown_owner_is_an_error_and_in_check_mode_a_prediction(wanted):
    wanted = replace(wanted, owner="nobody-has-this-name")
    assert run(wanted, check_mode=True)[0]["changed"] is True
    done, _requests = run(wanted)
    assert done["failed"]
    assert done["error"]["kind"] == "not_found"
    assert "nobody-has-this-name" in done["msg"]
    assert not os.path.exists(wanted.paths[KEY])


def test_without_the_library_check_mode_predicts_and_a_run_says_what_is_missing(wanted, monkeypatch):
    monkeypatch.setattr(x509, "HAS_CRYPTOGRAPHY", False)
    predicted, _requests = run(wanted, check_mode=True)
    assert predicted["outcomes"][0] == {
        "item": "site",
        "changed": True,
        "status": "issued",
        "reason": "there is no certificate",
        "domains": ["192.0.2.1", "www.example.com"],
    }
    with pytest.raises(DependencyError) as caught:
        run(wanted)
    assert "python3-cryptography" in caught.value.hint


def test_one_bad_certificate_does_not_stop_the_others(wanted, tmp_path):
    blocked = replace(wanted, name="blocked", store=str(tmp_path / "file" / "x"), notify={})
    (tmp_path / "file").write_text("in the way")
    result = Certificates(now=NOW).prepare([blocked, wanted]).result()
    assert [entry["item"] for entry in result["outcomes"]] == ["blocked", "site"]
    assert result["failed"]
    assert result["error"]["item"] == "blocked"
    assert result["outcomes"][1]["status"] == "issued"
