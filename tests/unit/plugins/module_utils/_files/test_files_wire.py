# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What travels between the halves arrives as it was; secrets don't pass the redaction."""

from __future__ import annotations

import hashlib

import pytest
from files_host import file_at
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import IntegrityError
from ansible_collections.scripts.toolkit.plugins.module_utils._files.redact import MASK, redact
from ansible_collections.scripts.toolkit.plugins.module_utils._files.wire import (
    Contents,
    SetPlan,
    Wanted,
    pack,
    pack_content,
    unpack,
)

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(_JSON)
def test_packing_keeps_every_value(value):
    text = pack(value)
    assert text.isascii()
    assert unpack(text) == value


@pytest.mark.parametrize("text", ["", "x", "AAAA", pack([1])[:-4], pack([1]) + "!"])
def test_a_damaged_message_is_an_integrity_error(text):
    with pytest.raises(IntegrityError):
        unpack(text)


@given(st.binary())
def test_contents_keep_every_byte(data):
    checksum = hashlib.sha256(data).hexdigest()
    contents = Contents(unpack(pack({checksum: pack_content(data)})))
    assert checksum in contents
    assert contents.open(checksum).read() == data


def test_a_content_that_was_not_sent_is_an_integrity_error():
    with pytest.raises(IntegrityError):
        Contents().open("00")


def test_wishes_travel_without_their_defaults():
    assert Wanted("/a").as_dict() == {"dest": "/a"}
    wish = file_at("/a", "x", mode=0, set="s", notify={"x.service": "reload"}, force=False)
    assert Wanted(**unpack(pack(wish.as_dict()))) == wish
    plan = SetPlan("s", ["true"], purge=["/x/y"])
    assert SetPlan(**unpack(pack(plan.as_dict()))) == plan


@given(st.binary(max_size=200), st.text(max_size=50), st.text(max_size=50))
def test_no_word_of_a_secret_passes(secret, before, after):
    text = secret.decode("utf-8", "replace")
    shown = redact(f"{before} {text} {after}", [secret], [])
    for word in text.split():
        if len(word) >= 3 and word.isalnum():
            assert word not in shown.split()


def test_what_is_known_anyway_is_shown():
    output = 'nginx: [emerg] unknown directive "hunter2" in /etc/nginx/site.conf:1'
    secret = b"hunter2; nginx site"
    assert redact(output, [secret], ["nginx", "/etc/nginx/site.conf"]) == output.replace("hunter2", MASK)
    assert redact(output, [], []) == output
