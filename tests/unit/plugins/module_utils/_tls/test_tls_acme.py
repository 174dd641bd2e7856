# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is made of certbot's files and words; the real certbot and a real directory are in the scenario."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.scripts.toolkit.plugins.module_utils._core.commands import Commands
from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import NotFoundError, UnavailableError
from ansible_collections.scripts.toolkit.plugins.module_utils._tls import certbot, x509
from ansible_collections.scripts.toolkit.plugins.module_utils._tls.acme_options import AcmeWanted
from ansible_collections.scripts.toolkit.plugins.module_utils._tls.certbot import Lineage
from ansible_collections.scripts.toolkit.plugins.module_utils._tls.names import normal_names
from ansible_collections.scripts.toolkit.plugins.module_utils._tls.pair import CERT, CHAIN, FILES, FULLCHAIN, KEY
from ansible_collections.scripts.toolkit.plugins.module_utils._tls.x509 import KeyKind

NOW = datetime(2026, 6, 1, 12, tzinfo=timezone.utc)

CONFIGURATION = """\
# renew_before_expiry = 30 days
version = 2.1.0
archive_dir = /etc/letsencrypt/archive/site
cert = /etc/letsencrypt/live/site/cert.pem

# Options used in the renewal process
[renewalparams]
account = 0123456789abcdef
server = https://acme.example/dir
authenticator = webroot
webroot_path = /var/www/acme,
key_type = ecdsa
[[webroot_map]]
a.example = /var/www/acme
www.a.example = /var/www/acme
"""

REFUSED = """\
Requesting a certificate for a.example and b.example

Certbot failed to authenticate some domains (authenticator: webroot). The Certificate Authority reported these problems:
  Domain: b.example
  Type:   unauthorized
  Detail: 192.0.2.1: Invalid response from http://b.example/.well-known/acme-challenge/x: 404

  Identifier: www.b.example
  Type:   dns
  Detail: DNS problem: NXDOMAIN looking up A for www.b.example

Hint: The Certificate Authority failed to download the temporary challenge files created by Certbot.
"""


@pytest.fixture
def wanted(tmp_path) -> AcmeWanted:
    store = str(tmp_path / "ssl")
    (tmp_path / "www").mkdir()
    return AcmeWanted(
        name="site",
        domains=normal_names(["a.example", "www.a.example"]),
        directory_url="https://acme.example/dir",
        email="admin@a.example",
        webroot="/var/www/acme",
        kind=KeyKind(),
        renew_before=30,
        renew_key=True,
        store=store,
        paths={name: os.path.join(store, name) for name in FILES},
        owner=str(os.getuid()),
        group=str(os.getgid()),
        mode=0o600,
        notify={},
    )


def lineage(tmp_path, wanted, days=90, configuration=CONFIGURATION, kind=None) -> Lineage:
    """What certbot would have after issuing."""
    etc = tmp_path / "letsencrypt"
    (etc / "live" / "site").mkdir(parents=True, exist_ok=True)
    (etc / "renewal").mkdir(exist_ok=True)
    (etc / "renewal" / "site.conf").write_text(configuration)
    key = x509.generate_key(kind or wanted.kind)
    made = x509.build_certificate(key.public_key(), wanted.domains, ["server"], NOW, NOW + timedelta(days=days), key)
    certificate = x509.certificate_pem(made)
    files = {KEY: x509.key_pem(key), CERT: certificate, CHAIN: certificate, FULLCHAIN: certificate}
    for name, data in files.items():
        (etc / "live" / "site" / name).write_bytes(data)
    return Lineage.read("site", str(etc))


def test_a_lineage_as_wanted_is_left_alone(tmp_path, wanted):
    assert certbot.reason_to_issue(wanted, lineage(tmp_path, wanted), NOW) is None


def test_nothing_there(tmp_path, wanted):
    found = Lineage.read("site", str(tmp_path / "nowhere"))
    assert certbot.reason_to_issue(wanted, found, NOW) == "there is no certificate"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"directory_url": "https://other.example/dir"}, "the certificate is from https://acme.example/dir"),
        ({"domains": normal_names(["a.example"])}, "the names differ"),
        ({"kind": KeyKind("rsa", 2048)}, "the key is ECDSA P-256, not RSA 2048"),
        ({"webroot": "/srv/acme"}, "certbot would renew with another webroot"),
        ({"renew_key": False}, "certbot would treat the key differently at renewal"),
    ],
)
def test_wishes_that_changed(tmp_path, wanted, change, reason):
    found = lineage(tmp_path, wanted)
    assert certbot.reason_to_issue(replace(wanted, **change), found, NOW) == reason


@pytest.mark.parametrize(
    ("life", "later", "due"),
    [
        (90, timedelta(days=59), False),
        (90, timedelta(days=60), True),
        (90, timedelta(days=91), True),
        (6, timedelta(days=0), False),  # a short-lived one is not due as soon as it is there
        (6, timedelta(days=2), False),
        (6, timedelta(days=3), True),
    ],
)
def test_it_renews_in_time_and_short_lived_ones_at_half_their_life(tmp_path, wanted, life, later, due):
    found = lineage(tmp_path, wanted, days=life)
    assert (certbot.reason_to_issue(wanted, found, NOW + later) is not None) is due


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (CONFIGURATION, CONFIGURATION.replace("# renew_before_expiry = 30 days", "renew_before_expiry = 20 days")),
        ("version = 2.1.0\n", "renew_before_expiry = 20 days\nversion = 2.1.0\n"),
        ("renew_before_expiry = 5 days\n[renewalparams]\n", "renew_before_expiry = 20 days\n[renewalparams]\n"),
    ],
)
def test_certbots_timer_renews_when_the_play_would(tmp_path, wanted, before, after):
    other = replace(wanted, renew_before=20)
    found = lineage(tmp_path, wanted, configuration=before)
    assert certbot.set_margin(other, found, check_mode=True) is True
    assert open(found.configuration).read() == before
    assert certbot.set_margin(other, found) is True
    assert open(found.configuration).read() == after
    assert certbot.set_margin(other, Lineage.read("site", str(tmp_path / "letsencrypt"))) is False


class Scripted(Commands):
    """A runner that answers as certbot did, one answer per call, and keeps what it was asked."""

    def __init__(self, *answers):
        self.asked = []
        rest = list(answers)

        def run_command(argv, environ_update=None, **_kwargs):
            self.asked.append((argv, environ_update))
            return rest.pop(0)

        super().__init__(run_command)

    @classmethod
    def require(cls, program, package=None):
        del package
        return f"/usr/bin/{program}"


def issue(commands, wanted, tmp_path, ca_bundle=None):
    pauses = []
    here = replace(wanted, webroot=str(tmp_path / "www"))
    certbot.issue(commands, here, ca_bundle, 60, sleep=pauses.append)
    return pauses


def test_the_domain_that_failed_is_told_with_its_reason(wanted, tmp_path):
    with pytest.raises(UnavailableError) as caught:
        issue(Scripted((1, "", REFUSED)), wanted, tmp_path)
    assert "b.example: 192.0.2.1: Invalid response" in caught.value.message
    assert "404" in caught.value.message
    assert "www.b.example: DNS problem: NXDOMAIN" in caught.value.message


def test_a_directory_that_does_not_answer_is_told_without_noise(wanted, tmp_path):
    output = (
        "Saving debug log to /var/log/letsencrypt/letsencrypt.log\nAn unexpected error occurred:\n"
        "requests.exceptions.ConnectionError: (Caused by NewConnectionError('<urllib3.connection.HTTPSConnection "
        "object at 0x7f7c8af969d0>: Failed to establish a new connection: [Errno 111] Connection refused'))\n"
        "Ask for help or search for solutions at https://community.letsencrypt.org.\n"
    )
    with pytest.raises(UnavailableError) as caught:
        issue(Scripted((1, "", output)), wanted, tmp_path)
    assert "Connection refused" in caught.value.message
    assert "0x7f" not in caught.value.message
    assert "Ask for help" not in caught.value.message
    assert "a.example, www.a.example" in caught.value.message


def test_what_passes_by_itself_is_tried_again(wanted, tmp_path):
    nonce = (1, "", "An unexpected error occurred:\nJWS has an invalid anti-replay nonce: xyz")
    busy = (1, "", "Another instance of Certbot is already running.")
    commands = Scripted(nonce, busy, (0, "", ""))
    assert issue(commands, wanted, tmp_path) == [0, 10]
    commands = Scripted(nonce, nonce, nonce, nonce, (0, "", ""))
    with pytest.raises(UnavailableError, match="anti-replay"):
        issue(commands, wanted, tmp_path)
    assert len(commands.asked) == 4


def test_a_refusal_is_not_tried_again(wanted, tmp_path):
    commands = Scripted((1, "", REFUSED), (0, "", ""))
    with pytest.raises(UnavailableError):
        issue(commands, wanted, tmp_path)
    assert len(commands.asked) == 1


def test_the_bundle_is_in_the_environment(wanted, tmp_path):
    commands = Scripted((0, "", ""))
    issue(commands, wanted, tmp_path, ca_bundle="/etc/ssl/private-ca.pem")
    ((argv, environment),) = commands.asked
    assert environment["REQUESTS_CA_BUNDLE"] == "/etc/ssl/private-ca.pem"
    assert argv[argv.index("--server") + 1] == "https://acme.example/dir"
    assert [argv[place + 1] for place, part in enumerate(argv) if part == "-d"] == ["a.example", "www.a.example"]


def test_a_missing_webroot_is_named(wanted):
    with pytest.raises(NotFoundError, match="webroot: /nowhere"):
        certbot.issue(Scripted(), replace(wanted, webroot="/nowhere"), None, 60)
