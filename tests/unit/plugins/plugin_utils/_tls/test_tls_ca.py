# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The own CA signs what the task says, records it first, and survives crashes and company."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat
import subprocess
from datetime import datetime, timedelta, timezone

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from cryptography import x509 as reference
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import (
    ConflictError,
    IntegrityError,
    NotFoundError,
    PermissionDenied,
    UnsafeError,
    ValidationError,
)
from ansible_collections.scripts.toolkit.plugins.module_utils._tls import x509
from ansible_collections.scripts.toolkit.plugins.module_utils._tls.options import parse_all, tls_certificate_spec
from ansible_collections.scripts.toolkit.plugins.module_utils._tls.x509 import KeyKind
from ansible_collections.scripts.toolkit.plugins.plugin_utils._tls.ca import Authority, Issued

NOW = datetime(2026, 6, 1, 12, tzinfo=timezone.utc)


def wanted(**options):
    certificate = {"name": "www.example.com", "provider": "own_ca", "lifetime": 90, **options}
    validated = ArgumentSpecValidator(tls_certificate_spec()).validate({"certificates": [certificate]})
    return parse_all(validated.validated_parameters["certificates"])[0]


@pytest.fixture
def directory(tmp_path) -> str:
    return str(tmp_path / "state" / "ca")


def authority(directory, now=NOW, **options) -> Authority:
    defaults = {"name": "Test CA", "directory": directory, "passphrase": None, "lifetime": 3650, "renew": False}
    return Authority({**defaults, **options}, now)


def request(key=None) -> str:
    return x509.build_request(key or x509.generate_key(KeyKind()), "whatever").decode()


def issue(ca: Authority, one=None, text=None, host="web01"):
    one = one or wanted()
    answer = ca.issue([(one, text or request())], host)[one.name]
    if isinstance(answer, Exception):
        raise answer
    return x509.load_certificate(answer.certificate.encode())


def lines(directory) -> list[dict]:
    with open(os.path.join(directory, "issued.jsonl"), encoding="utf-8") as handle:
        return [json.loads(line) for line in handle]


def test_the_chain_holds_for_openssl(directory, tmp_path):
    made = issue(authority(directory))
    (tmp_path / "leaf.pem").write_bytes(x509.certificate_pem(made))
    done = subprocess.run(
        ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", "www.example.com"]
        + ["-attime", str(int(NOW.timestamp())), "-CAfile", f"{directory}/ca.crt", str(tmp_path / "leaf.pem")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_ca_certificate_is_one_of_a_ca_and_of_nothing_more(directory):
    issue(authority(directory))
    certificate = x509.load_certificate(open(f"{directory}/ca.crt", "rb").read())
    constraints = certificate.extensions.get_extension_for_class(reference.BasicConstraints)
    usage = certificate.extensions.get_extension_for_class(reference.KeyUsage)
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, 0)
    assert usage.critical
    assert (usage.value.key_cert_sign, usage.value.crl_sign, usage.value.digital_signature) == (True, True, False)
    assert certificate.subject.rfc4514_string() == "CN=Test CA"
    assert x509.not_after(certificate) == NOW + timedelta(days=3650)


def test_the_directory_and_the_key_are_private(directory):
    before = os.umask(0)
    try:
        issue(authority(directory))
    finally:
        os.umask(before)
    modes = {name: stat.S_IMODE(os.stat(os.path.join(directory, name)).st_mode) for name in ("ca.key", "issued.jsonl")}
    assert modes == {"ca.key": 0o600, "issued.jsonl": 0o600}
    assert stat.S_IMODE(os.stat(directory).st_mode) == 0o700


def test_a_request_gets_what_the_task_says_and_nothing_it_asks_for(directory):
    """A taken host asks for another's name, for a CA certificate and for code signing."""
    key = x509.generate_key(KeyKind())
    greedy = (
        reference.CertificateSigningRequestBuilder()
        .subject_name(reference.Name([reference.NameAttribute(NameOID.COMMON_NAME, "bank.example.com")]))
        .add_extension(reference.SubjectAlternativeName([reference.DNSName("bank.example.com")]), critical=False)
        .add_extension(reference.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.key_usage(authority=True), critical=True)
        .add_extension(reference.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
        .decode()
    )
    made = issue(authority(directory), text=greedy)
    assert x509.names_of(made) == {"www.example.com"}
    assert made.subject.rfc4514_string() == "CN=www.example.com"
    assert made.extensions.get_extension_for_class(reference.BasicConstraints).value.ca is False
    assert made.extensions.get_extension_for_class(reference.KeyUsage).value.key_cert_sign is False
    usages = list(made.extensions.get_extension_for_class(reference.ExtendedKeyUsage).value)
    assert usages == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert x509.not_after(made) == NOW + timedelta(days=90)
    assert "bank" not in json.dumps(lines(directory))


def test_a_request_without_proof_of_the_key_is_refused(directory):
    genuine = reference.load_pem_x509_csr(request().encode())
    der = bytearray(genuine.public_bytes(serialization.Encoding.DER))
    der[-3] ^= 1
    forged = reference.load_der_x509_csr(bytes(der)).public_bytes(serialization.Encoding.PEM).decode()
    with pytest.raises(IntegrityError, match="not signed by its own key"):
        issue(authority(directory), text=forged)
    assert not os.path.exists(f"{directory}/issued.jsonl")


@pytest.mark.parametrize(
    "text", ["", "garbage", "-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----"]
)
def test_a_broken_request_is_refused(directory, text):
    answer = authority(directory).issue([(wanted(), text)], "web01")["www.example.com"]
    assert isinstance(answer, IntegrityError)
    assert "can't be read" in answer.message


def test_a_weaker_key_than_wanted_is_refused(directory):
    with pytest.raises(IntegrityError, match="RSA 2048, not RSA 4096"):
        issue(
            authority(directory),
            wanted(key={"type": "rsa", "size": 4096}),
            request(x509.generate_key(KeyKind("rsa", 2048))),
        )


def test_one_bad_request_does_not_stop_the_others(directory):
    other = wanted(name="other.example.com")
    answers = authority(directory).issue([(wanted(), "garbage"), (other, request())], "web01")
    assert isinstance(answers["www.example.com"], IntegrityError)
    assert isinstance(answers["other.example.com"], Issued)
    assert [line["name"] for line in lines(directory)] == ["other.example.com"]


def test_every_issue_is_recorded_with_a_serial_of_its_own(directory):
    made = [issue(authority(directory), host=f"web{number}") for number in range(3)]
    recorded = lines(directory)
    assert [line["host"] for line in recorded] == ["web0", "web1", "web2"]
    assert [int(line["serial"], 16) for line in recorded] == [certificate.serial_number for certificate in made]
    assert len({certificate.serial_number for certificate in made}) == 3
    assert all(certificate.serial_number.bit_length() > 100 for certificate in made)
    ca = x509.load_certificate(open(f"{directory}/ca.crt", "rb").read())
    assert recorded[0]["ca_fingerprint_sha256"] == x509.fingerprint(ca)
    assert recorded[0]["public_key_sha256"] == x509.key_fingerprint(made[0].public_key())
    assert recorded[0]["fingerprint_sha256"] == x509.fingerprint(made[0])
    assert (recorded[0]["domains"], recorded[0]["not_after"]) == (["www.example.com"], "2026-08-30T12:00:00Z")


def test_no_certificate_without_its_record(directory, monkeypatch):
    issue(authority(directory))
    os.rename(f"{directory}/issued.jsonl", f"{directory}/kept")
    os.mkdir(f"{directory}/issued.jsonl")
    with pytest.raises(IsADirectoryError):
        issue(authority(directory))


def test_a_line_that_a_crash_cut_off_does_not_spoil_the_next(directory):
    issue(authority(directory))
    with open(f"{directory}/issued.jsonl", "a", encoding="utf-8") as handle:
        handle.write('{"ca_finger')
    issue(authority(directory))
    with open(f"{directory}/issued.jsonl", encoding="utf-8") as handle:
        first, cut, second = handle.read().splitlines()
    assert cut == '{"ca_finger'
    assert json.loads(first)["name"] == json.loads(second)["name"]


def _issue_many(directory, host, count):
    for number in range(count):
        issue(
            Authority({"name": "Test CA", "directory": directory, "passphrase": None, "lifetime": 10, "renew": False}),
            wanted(name=f"n{number}.example.com", lifetime=5, renew_before=1),
            host=host,
        )


def test_many_processes_share_one_ca(directory):
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_issue_many, args=(directory, f"web{number}", 5)) for number in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 6
    recorded = lines(directory)
    assert len(recorded) == 30
    assert len({line["ca_fingerprint_sha256"] for line in recorded}) == 1
    assert len({line["serial"] for line in recorded}) == 30


def test_a_key_that_a_crash_left_without_certificate_is_used(directory):
    issue(authority(directory))
    key = open(f"{directory}/ca.key", "rb").read()
    os.unlink(f"{directory}/ca.crt")
    issue(authority(directory))
    assert open(f"{directory}/ca.key", "rb").read() == key


def test_the_key_is_encrypted_under_the_passphrase(directory):
    ca = authority(directory, passphrase="s3cret")
    issue(ca)
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in open(f"{directory}/ca.key", "rb").read()
    issue(authority(directory, passphrase="s3cret"))
    for passphrase, told in (("wrong", "does not open"), (None, "is not given")):
        with pytest.raises(PermissionDenied, match=r"ca\.passphrase") as caught:
            issue(authority(directory, passphrase=passphrase))
        assert told in caught.value.message
        assert directory in caught.value.message
    assert len(lines(directory)) == 2
    assert "s3cret" not in repr(vars(caught.value))


def test_a_passphrase_for_a_key_that_has_none_is_an_error(directory):
    issue(authority(directory))
    with pytest.raises(ValidationError, match=r"ca\.passphrase is given, but"):
        issue(authority(directory, passphrase="s3cret"))
    with pytest.raises(ValidationError, match=r"ca\.passphrase is empty"):
        authority(directory, passphrase="")


def test_a_key_that_others_can_read_signs_nothing(directory):
    issue(authority(directory))
    os.chmod(f"{directory}/ca.key", 0o644)
    with pytest.raises(UnsafeError, match="can be read by others"):
        issue(authority(directory))


def test_a_leaf_ends_with_the_ca_at_the_latest(directory):
    issue(authority(directory, lifetime=100))
    made = issue(authority(directory, now=NOW + timedelta(days=60)))
    assert x509.not_after(made) == NOW + timedelta(days=100)


@pytest.mark.parametrize(("days", "told"), [(71, "ends on 2026-09-09"), (101, "expired on 2026-09-09")])
def test_a_ca_that_ends_too_early_says_so_and_is_renewed_on_request(directory, days, told):
    first = issue(authority(directory, lifetime=100))
    later = NOW + timedelta(days=days)
    with pytest.raises(ConflictError, match=told) as caught:
        issue(authority(directory, now=later))
    assert directory in caught.value.message
    assert "ca.renew" in caught.value.hint
    problems = authority(directory, now=later).check([wanted()])
    assert isinstance(problems["www.example.com"], ConflictError)
    assert authority(directory, now=later, renew=True).check([wanted()]) == {}

    old = open(f"{directory}/ca.crt", "rb").read()
    made = issue(authority(directory, now=later, renew=True))
    new = x509.load_certificate(open(f"{directory}/ca.crt", "rb").read())
    assert x509.not_after(made) == later + timedelta(days=90)
    assert x509.signed_by(made, new)
    assert x509.signed_by(first, new)  # same key and name: what was issued before is still believed
    kept = [name for name in os.listdir(directory) if name.startswith("ca-")]
    assert [open(os.path.join(directory, name), "rb").read() for name in kept] == [old]


def test_renew_does_nothing_while_the_ca_is_good(directory):
    issue(authority(directory))
    before = open(f"{directory}/ca.crt", "rb").read()
    issue(authority(directory, renew=True))
    assert open(f"{directory}/ca.crt", "rb").read() == before


def test_check_makes_nothing(directory, tmp_path):
    assert authority(directory).check([wanted()]) == {}
    assert authority(directory).certificate_pem() is None
    assert authority(directory).describe() is None
    assert os.listdir(tmp_path) == []


def test_check_finds_a_wrong_passphrase(directory):
    issue(authority(directory, passphrase="s3cret"))
    with pytest.raises(PermissionDenied, match=r"ca\.passphrase"):
        authority(directory, passphrase="wrong").check([wanted()])


def test_half_a_ca_is_not_replaced(directory):
    issue(authority(directory))
    os.rename(f"{directory}/ca.key", f"{directory}/gone")
    with pytest.raises(NotFoundError, match=r"key ca\.key is missing"):
        issue(authority(directory))
    assert not os.path.exists(f"{directory}/ca.key")


def test_broken_or_foreign_files_are_refused(directory, tmp_path):
    issue(authority(directory))
    issue(authority(str(tmp_path / "other")))
    good = open(f"{directory}/ca.crt", "rb").read()
    leaf_key = x509.load_key(open(f"{directory}/ca.key", "rb").read())
    leaf = x509.build_certificate(
        leaf_key.public_key(), wanted().domains, ["server"], NOW, NOW + timedelta(days=9), leaf_key
    )
    for data, told in (
        (b"garbage", "can't be read"),
        (open(tmp_path / "other" / "ca.crt", "rb").read(), "do not belong together"),
        (x509.certificate_pem(leaf), "not the certificate of a CA"),
    ):
        with open(f"{directory}/ca.crt", "wb") as handle:
            handle.write(data)
        with pytest.raises(IntegrityError, match=told):
            issue(authority(directory))
    with open(f"{directory}/ca.crt", "wb") as handle:
        handle.write(good)
    issue(authority(directory))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"name": "../x"}, "ca.name"),
        ({"name": ""}, "ca.name"),
        ({"directory": "relative"}, "ca.directory"),
        ({"lifetime": 0}, "ca.lifetime=0"),
    ],
)
def test_bad_options_are_named(directory, options, named):
    with pytest.raises(ValidationError, match=named):
        authority(**{"directory": directory, **options})
