# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.record.redact import Redactor
from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ValidationError

CANARY = "c4n4ry-9f8e"


@pytest.mark.parametrize(
    "text",
    [
        "password=%s",
        "db_password: %s",
        "PASSWORD => '%s'",
        '{"api_key": "%s", "x": 1}',
        "{'secret': '%s two words'}",
        "token=%s&next=1",
        "mysql --password %s -h db",
        "curl --token=%s https://x",
        "fatal: https://deploy:%s@git.example.com/x.git not found",
        "postgresql://app:%s@db:5432/x",
        "Authorization: Bearer %s",
        "authorization: Basic %sabcdefgh==",
        "-----BEGIN OPENSSH PRIVATE KEY-----\n%s\n-----END OPENSSH PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----\n%s",
        "AWS_SECRET_ACCESS_KEY=%s",
        'passphrase "x": client_secret="a\\"%s"',
    ],
)
def test_what_is_spelled_like_a_secret_is_replaced(text):
    assert CANARY not in Redactor().text(text % CANARY)


@pytest.mark.parametrize(
    "text",
    [
        "Could not find the requested service nginx: host",
        "https://example.com/a?b=c",
        "The file /etc/passwd is owned by root",
        "keyboard=us",
        "",
    ],
)
def test_other_text_stays(text):
    assert Redactor().text(text) == text


def test_values_of_keys_named_like_a_secret_are_replaced_whole():
    value = {"users": [{"name": "a", "password": CANARY, "update_password": "always"}], "apiToken": [CANARY], "n": 1}
    redacted = Redactor().value(value)
    assert CANARY not in repr(redacted)
    assert redacted["users"][0]["name"] == "a"
    assert redacted["n"] == 1


def test_own_patterns_and_known_secrets():
    redactor = Redactor([r"\b\d{16}\b"], mask=lambda text: text.replace(CANARY, "$REDACTED$"))
    assert redactor.text(f"card 4111111111111111 of {CANARY}") == "card *** of $REDACTED$"
    assert redactor.known(f"/srv/{CANARY}") == "/srv/$REDACTED$"


def test_a_bad_pattern_is_named():
    with pytest.raises(ValidationError, match=r"redact_patterns: '\(' is not a regular expression"):
        Redactor(["("])


@given(st.text())
def test_any_text_is_accepted(text):
    assert isinstance(Redactor().text(text), str)


def test_long_hostile_text_takes_linear_work():
    # Each rule meets its worst case: a start that matches everywhere and never ends.
    for start in ("a", "password", "-----BEGIN PRIVATE KEY-----", "x://", "token='", "--password "):
        Redactor().text((start * 4000)[:20000])


@given(st.integers(0, 900), st.integers(10, 200))
def test_a_cut_never_shows_a_part_of_a_secret(before, limit):
    text = "x" * (before // 2) + " " + "y" * (before - before // 2) + f" https://deploy:{CANARY}@git.example.com/x.git"
    short = Redactor().short(text, limit)
    assert "c4n4" not in short
    assert len(short) <= limit
