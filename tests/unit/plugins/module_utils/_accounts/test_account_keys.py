# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lines of authorized_keys."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scripts.toolkit.plugins.module_utils._accounts.keys import merge_keys, parse_key, parse_keys
from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ConflictError, ValidationError


def blob(number: int, kind: str = "ssh-ed25519") -> str:
    """Return the middle part of a key, of the form that OpenSSH writes."""
    name = kind.encode()
    body = number.to_bytes(32, "big")
    raw = len(name).to_bytes(4, "big") + name + len(body).to_bytes(4, "big") + body
    return base64.b64encode(raw).decode()


def line(number: int, options: str = "", comment: str = "") -> str:
    return " ".join(part for part in (options, "ssh-ed25519", blob(number), comment) if part)


OPTIONS = st.sampled_from(["", "restrict", 'from="192.0.2.0/24,::1",no-pty', r'command="echo \"a, b\" # c",restrict'])
COMMENTS = st.text(alphabet="ab @=,\"'#é", max_size=12).map(lambda text: " ".join(text.split()))
KEYS = st.builds(line, st.integers(0, 5), OPTIONS, COMMENTS)
OTHERS = st.sampled_from(["# a comment", "", "ssh-ed25519 broken", "  # indented", "ssh-dss AAAAB3NzaC1kc3M= old"])


@given(st.integers(0, 9), OPTIONS, COMMENTS)
def test_a_key_reads_back(number, options, comment):
    key = parse_key(f"  {line(number, options, comment)}\r")
    assert (key.options, key.type, key.blob, key.comment) == (options, "ssh-ed25519", blob(number), comment)
    assert parse_key(key.line) == key


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ssh-ed25519",
        "ssh-ed25519 not-base64!",
        "ssh-ed25519 " + blob(1)[:40],
        "ssh-rsa " + blob(1),
        "ssh-dss " + blob(1, "ssh-dss"),
        blob(1),
        'command="unclosed ssh-ed25519 ' + blob(1),
        "restrict, ssh-ed25519 " + blob(1),
        "a=b ssh-ed25519 " + blob(1),
        line(1) + "\x00",
        "restrict\x1b[2J " + line(1),
    ],
)
def test_what_is_no_key(text):
    with pytest.raises(ValidationError):
        parse_key(text)


def test_a_private_key_is_refused_and_not_repeated():
    with pytest.raises(ValidationError) as caught:
        parse_keys(["-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n-----END OPENSSH PRIVATE KEY-----\n"], "user a")
    assert "private key" in caught.value.message
    assert "c2VjcmV0" not in str(caught.value.as_result())
    assert caught.value.item == "user a"


def test_a_file_with_several_keys():
    keys = parse_keys([f"# Alice\n{line(1)}\r\n\n{line(2)}\n", line(1)], "user a")
    assert [key.blob for key in keys] == [blob(1), blob(2)]


def test_one_key_with_two_sets_of_options():
    with pytest.raises(ConflictError, match="key 2"):
        parse_keys([line(1, "restrict"), line(1)], "user a")


@given(st.lists(st.one_of(KEYS, OTHERS), max_size=6), st.lists(KEYS, max_size=3), st.booleans())
def test_merging(before, wanted, exclusive):
    try:
        keys = parse_keys(wanted, "user a")
    except ConflictError:
        return
    text = "".join(f"{one}\n" for one in before)
    after = merge_keys(text, keys, exclusive)
    assert merge_keys(after, keys, exclusive) == after
    lines = after.splitlines()
    for key in keys:
        assert lines.count(key.line) == 1
        # No other line opens the account with the same key and perhaps fewer restrictions.
        assert sum(key.blob in one for one in lines) == 1
    if exclusive:
        assert sorted(lines) == sorted(key.line for key in keys)
    else:
        blobs = [key.blob for key in keys]
        foreign = [one for one in before if not any(own in one for own in blobs)]
        assert [one for one in lines if not any(own in one for own in blobs)] == foreign


def test_a_key_keeps_its_place_when_its_options_change():
    before = f"# ours\n{line(1, comment='old')}\n{line(2)}\n{line(1, 'restrict')}\n"
    after = merge_keys(before, parse_keys([line(1, "restrict", "new")], "user a"), exclusive=False)
    assert after == f"# ours\n{line(1, 'restrict', 'new')}\n{line(2)}\n"
