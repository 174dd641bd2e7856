# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is read from the kernel's bytes: access control lists and capabilities of files."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from permissions_tree import GROUP, GROUP_OBJ, MASK, NO_ID, OTHER, USER, USER_OBJ, acl_bytes

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import IntegrityError, ValidationError
from ansible_collections.scripts.toolkit.plugins.module_utils._permissions.acl import parse_acl
from ansible_collections.scripts.toolkit.plugins.module_utils._permissions.capabilities import (
    ALL,
    capability_names,
    capability_set,
    parse_capabilities,
)

bits = st.integers(0, 7)
named = st.dictionaries(st.integers(0, NO_ID - 1), bits, max_size=8)
word = st.integers(0, 2**32 - 1)


@given(bits, bits, bits, bits, named, named)
def test_an_access_control_list_is_read_as_it_was_written(owner, group, mask, others, users, groups):
    entries = [(USER_OBJ, owner, NO_ID), (GROUP_OBJ, group, NO_ID), (MASK, mask, NO_ID), (OTHER, others, NO_ID)]
    entries += [(USER, value, number) for number, value in users.items()]
    entries += [(GROUP, value, number) for number, value in groups.items()]
    acl = parse_acl(acl_bytes(sorted(entries)))
    assert (acl.owner, acl.owning_group, acl.mask, acl.others) == (owner, group, mask, others)
    assert (acl.users, acl.groups) == (users, groups)
    assert set(acl.writing_users()) == {uid for uid, value in users.items() if value & 2 and mask & 2}
    assert set(acl.writing_groups()) == {gid for gid, value in groups.items() if value & 2 and mask & 2}


def test_without_a_mask_the_owning_group_has_what_it_says():
    acl = parse_acl(acl_bytes([(USER_OBJ, 6, NO_ID), (GROUP_OBJ, 6, NO_ID), (OTHER, 4, NO_ID)]))
    assert acl.granted(acl.owning_group) == 6


@given(st.binary(max_size=80))
def test_other_bytes_are_refused_or_read_but_never_crash(data):
    for parse in (parse_acl, parse_capabilities):
        with contextlib.suppress(IntegrityError):
            parse(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x02\0\0",
        struct.pack("<I", 3),
        acl_bytes([(USER_OBJ, 7, NO_ID)])[:-1],
        acl_bytes([(USER_OBJ, 8, NO_ID)]),
        acl_bytes([(0x40, 7, NO_ID)]),
        acl_bytes([(OTHER, 7, NO_ID), (OTHER, 0, NO_ID)]),
        acl_bytes([(USER, 7, 1000), (USER, 0, 1000), (MASK, 7, NO_ID)]),
        acl_bytes([(USER, 7, 1000)]),
    ],
)
def test_a_list_that_can_not_be_is_refused(data):
    with pytest.raises(IntegrityError):
        parse_acl(data)


@given(word, word, word, word, st.booleans(), st.integers(1, 3), word)
def test_capabilities_are_read_as_they_were_written(low, low_inheritable, high, high_inheritable, effective, rev, root):
    words = [rev << 24 | effective, low, low_inheritable, high, high_inheritable, root]
    found = parse_capabilities(struct.pack("<6I", *words)[: {1: 12, 2: 20, 3: 24}[rev]])
    wide = rev > 1
    assert found.permitted == low | (high << 32 if wide else 0)
    assert found.inheritable == low_inheritable | (high_inheritable << 32 if wide else 0)
    assert (found.effective, found.rootid) == (effective, root if rev == 3 else None)
    assert capability_set(capability_names(found.permitted)) == found.permitted


def test_capabilities_have_the_names_that_people_know():
    found = parse_capabilities(struct.pack("<5I", 2 << 24 | 1, 1 << 10 | 1 << 13, 1 << 13, 1 << 8, 0))
    assert str(found) == "cap_net_bind_service,cap_checkpoint_restore=ep cap_net_raw=eip"
    assert capability_set(["CAP_NET_RAW", "chown", "cap_63"]) == 1 << 13 | 1 | 1 << 63
    assert capability_set(["all"]) == ALL
    with pytest.raises(ValidationError, match=r"paths\[0\].capabilities: there is no capability cap_fly"):
        capability_set(["cap_fly"], "paths[0].capabilities")
