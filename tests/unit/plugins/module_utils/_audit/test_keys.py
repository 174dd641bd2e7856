# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys of the log: made once, rotated with an overlap, followed through the log."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof.keys import KeyHistory, Keyring, read_vkeys
from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import (
    ConflictError,
    IntegrityError,
    NotFoundError,
    ValidationError,
)
from ansible_collections.scripts.toolkit.plugins.module_utils._core.signed_note import Signer


def commit(keyring: Keyring) -> list[tuple[str, dict]]:
    keyring.signers()
    events = keyring.pending()
    keyring.settle()
    return events


def states(keyring: Keyring) -> list[str]:
    return [key["state"] for key in keyring.table()]


def test_the_first_key_is_made_on_first_use_and_is_private(tmp_path: Path) -> None:
    keyring = Keyring(str(tmp_path))
    assert keyring.verifiers() == []
    with pytest.raises(NotFoundError):
        assert keyring.policy
    with pytest.raises(NotFoundError):
        assert keyring.origin
    signer = keyring.signers()[0]
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    assert {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "keys").iterdir()} == {
        "trusted.vkeys": 0o600,
        f"{signer.verifier.key_id}.key": 0o600,
    }
    assert keyring.origin == signer.verifier.name
    assert "/scripts-toolkit/audit/" in keyring.origin
    assert [again.verifier for again in Keyring(str(tmp_path)).signers()] == [signer.verifier]
    assert read_vkeys((tmp_path / "keys/trusted.vkeys").read_text()) == [signer.verifier]


def test_a_key_is_asked_for_once_it_is_recorded(tmp_path: Path) -> None:
    keyring = Keyring(str(tmp_path), "example.com/log")
    signer = keyring.signers()[0]
    assert (states(keyring), keyring.policy.required) == (["new"], ())
    events = commit(keyring)
    assert [(event, details["vkey"]) for event, details in events] == [("KEY_ADDED", signer.verifier.vkey)]
    assert (states(keyring), keyring.policy.required) == (["active"], (signer.verifier,))
    assert keyring.policy.origin == "example.com/log"
    assert commit(keyring) == []


def test_a_rotation_overlaps(tmp_path: Path) -> None:
    keyring = Keyring(str(tmp_path))
    commit(keyring)
    old = keyring.verifiers()[0]
    with pytest.raises(ConflictError, match="only active one"):
        keyring.retire(old.key_id)
    new = keyring.rotate()
    assert new.name == old.name
    with pytest.raises(ConflictError, match="waits"):
        keyring.rotate()
    assert [signer.verifier for signer in keyring.signers()] == [old, new]
    commit(keyring)
    keyring.retire(old.key_id)
    assert [signer.verifier for signer in keyring.signers()] == [old, new]
    assert (tmp_path / "keys" / f"{old.key_id}.key").exists()
    commit(keyring)
    assert [signer.verifier for signer in keyring.signers()] == [new]
    assert keyring.verifiers() == [old, new]
    assert not (tmp_path / "keys" / f"{old.key_id}.key").exists()
    with pytest.raises(ConflictError, match="is retired"):
        keyring.retire(old.key_id)
    with pytest.raises(NotFoundError):
        keyring.retire("00000000")


def history_of(events: list[tuple[str, dict]]) -> KeyHistory:
    history = KeyHistory()
    for event in events:
        history.take(*event)
    return history


def test_the_log_tells_which_keys_are_trusted(tmp_path: Path) -> None:
    keyring = Keyring(str(tmp_path))
    events = commit(keyring)
    keyring.rotate()
    events += keyring.pending()  # dies before it settles, and tells it again
    events += commit(keyring)
    keyring.retire(keyring.verifiers()[0].key_id)
    events += commit(keyring)
    assert [event for event, _details in events] == ["KEY_ADDED", "KEY_ADDED", "KEY_ADDED", "KEY_RETIRED"]
    history = history_of(events)
    assert set(history.active) == {keyring.verifiers()[1].vkey}
    assert set(history.retired) == {keyring.verifiers()[0].vkey}
    for at, (_event, details) in enumerate(events):
        forged = copy.deepcopy(events)
        forged[at][1]["endorsement"] = details["endorsement"].replace("audit-key", "audit-kez")
        with pytest.raises(IntegrityError):
            history_of(forged)
    with pytest.raises(IntegrityError, match="the last one"):
        history_of([*events[:1], events[3]])
    with pytest.raises(IntegrityError, match="added again"):
        history_of([*events, events[0]])
    with pytest.raises(IntegrityError, match="names no key"):
        history_of([("KEY_ADDED", {})])


def test_a_key_of_somebody_else_is_not_taken(tmp_path: Path) -> None:
    ours, theirs = Keyring(str(tmp_path / "a"), "log"), Keyring(str(tmp_path / "b"), "log")
    with pytest.raises(IntegrityError, match="did not sign"):
        history_of(commit(ours) + commit(theirs))


def test_a_damaged_key_directory_is_not_used(tmp_path: Path) -> None:
    keyring = Keyring(str(tmp_path))
    key_id = keyring.signers()[0].verifier.key_id
    path = tmp_path / "keys" / f"{key_id}.key"
    path.write_bytes(Signer.generate("other").pem())
    with pytest.raises(IntegrityError, match="does not belong"):
        keyring.signers()
    path.unlink()
    with pytest.raises(NotFoundError, match="is gone"):
        keyring.signers()
    trusted = tmp_path / "keys/trusted.vkeys"
    good = trusted.read_text()
    for bad in (good.replace("# new", "# old"), good.replace(f"+{key_id}+", "+00000000+")):
        trusted.write_text(bad)
        with pytest.raises(IntegrityError, match=r"trusted\.vkeys"):
            keyring.verifiers()
    with pytest.raises(ValidationError):
        read_vkeys("nothing\n")
