# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The keys that sign the log: made on first use, rotated with an overlap, and every change recorded in the log.

``keys/<id>.key`` (0600) holds a private key, ``keys/trusted.vkeys`` all public ones, one a line as C2SP signed notes
spell them, with their state behind a ``#``:

- ``new``: signs already; its ``KEY_ADDED`` is not in a signed log yet.
- ``active``: signs; a checkpoint without its signature is wrong.
- ``retiring``: signs until its ``KEY_RETIRED`` is in a signed log.
- ``retired``: signs no more; old checkpoints are still verified with it. Its private key is gone.

A ``KEY_ADDED`` or ``KEY_RETIRED`` entry carries an endorsement, a note that the keys of before and the new one signed.
So the trusted keys of today follow from the first one by the log itself.
"""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass

from ..._core.errors import ConflictError, IntegrityError, NotFoundError, ValidationError
from ..._core.files import fsync_directory, read_bytes, remove_file, write_atomic
from ..._core.signed_note import Signer, Verifier, open_note, sign_note
from ..store.journal import make_private_directory

__all__ = ["KEY_DIRECTORY", "TRUSTED_NAME", "KeyHistory", "Keyring", "Policy", "read_vkeys"]

KEY_DIRECTORY = "keys"
TRUSTED_NAME = "trusted.vkeys"

_STATES = ("new", "active", "retiring", "retired")
_HEAD = "# Keys of this audit log. Checkpoints must have a signature of each active one.\n"
_CONTEXT = "scripts-toolkit/audit-key/v1"
_VERBS = {"KEY_ADDED": "add", "KEY_RETIRED": "retire"}


@dataclass(frozen=True)
class Policy:
    """Whose signatures a checkpoint of this log must and may have.

    :param origin: the name of the log.
    :param required: each of these must have signed.
    :param trusted: all keys, also those that need not have signed (new, retiring, retired).
    """

    origin: str
    required: tuple[Verifier, ...]
    trusted: tuple[Verifier, ...]


@dataclass
class _Key:
    verifier: Verifier
    state: str
    since: str


def read_vkeys(text: str) -> list[Verifier]:
    """Return the keys of a file that has one verifier key a line; what follows a blank is a comment, as is ``#``.

    :raises ValidationError: a line has no verifier key.
    """
    words = [line.split() for line in text.splitlines()]
    return [Verifier.from_vkey(parts[0]) for parts in words if parts and not parts[0].startswith("#")]


def _endorsement(event_type: str, verifier: Verifier) -> bytes:
    return f"{_CONTEXT}\n{_VERBS[event_type]}\n{verifier.vkey}\n".encode()


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class Keyring:
    """The keys under ``<directory>/keys``. Whoever changes them or signs holds the log's lock.

    A commit of the log goes: :meth:`signers`, append the events of :meth:`pending` to the log, sign and commit,
    :meth:`settle`. Dying in between records an event twice at worst, which does no harm.

    :param directory: the log's directory.
    :param origin: the name of a new log; by default the host's name, the collection's and a random part.
    """

    def __init__(self, directory: str, origin: str | None = None) -> None:
        self.directory = os.path.join(directory, KEY_DIRECTORY)
        self._path = os.path.join(self.directory, TRUSTED_NAME)
        self._new_origin = origin
        self._told: list[_Key] = []

    @property
    def origin(self) -> str:
        """The name of the log, which is also the name of its keys; fixed by its first key."""
        keys = self._keys()
        if not keys:
            raise NotFoundError(f"The log has no key yet: there is no {self._path}.")
        return keys[0].verifier.name

    @property
    def policy(self) -> Policy:
        """Which signatures are asked of the newest checkpoint.

        :raises NotFoundError: the log has no key yet.
        """
        keys = self._keys()
        if not keys:
            raise NotFoundError(f"The log has no key yet: there is no {self._path}.")
        # A log that was never signed with its first key has nothing to ask for yet; afterwards that key is active.
        required = tuple(key.verifier for key in keys if key.state == "active")
        return Policy(keys[0].verifier.name, required, tuple(key.verifier for key in keys))

    def verifiers(self) -> list[Verifier]:
        """Return all trusted public keys, oldest first, also retired ones; none for a log that has no key yet."""
        return [key.verifier for key in self._keys()]

    def table(self) -> list[dict]:
        """Return ``{id, state, since, vkey}`` of every key, oldest first."""
        return [
            {"id": key.verifier.key_id, "state": key.state, "since": key.since, "vkey": key.verifier.vkey}
            for key in self._keys()
        ]

    def signers(self) -> list[Signer]:
        """Return the keys that sign now, oldest first; the first one is made when there is none.

        :raises NotFoundError: a private key is gone.
        :raises DependencyError: the library cryptography is missing.
        """
        if not self._keys():
            self._make_first()
        return [self._signer(key) for key in self._keys() if key.state != "retired"]

    def rotate(self) -> Verifier:
        """Make another key and return its public half. It signs together with the others from the next commit on.

        :raises ConflictError: one that was made before waits for that commit.
        """
        keys = self._keys()
        if any(key.state == "new" for key in keys):
            raise ConflictError("A new key waits to be recorded already.", hint="First run: toolkit audit integrate.")
        signer = self._make(self.origin)
        self._store([*keys, _Key(signer.verifier, "new", _now())])
        return signer.verifier

    def retire(self, key_id: str) -> Verifier:
        """Let a key sign for the last time at the next commit and return its public half.

        :raises NotFoundError: there is no such key.
        :raises ConflictError: it is not active, or no other key is.
        """
        keys = self._keys()
        found = [key for key in keys if key.verifier.key_id == key_id]
        if not found:
            raise NotFoundError(f"The log has no key {key_id}.", hint="toolkit audit key list shows them.")
        if found[0].state != "active":
            raise ConflictError(f"The key {key_id} is {found[0].state}; only an active one can be retired.")
        if sum(key.state == "active" for key in keys) < 2:
            raise ConflictError(
                f"The key {key_id} is the only active one.", hint="Make another first: toolkit audit key rotate."
            )
        found[0].state, found[0].since = "retiring", _now()
        self._store(keys)
        return found[0].verifier

    def pending(self) -> list[tuple[str, dict]]:
        """Return ``(event_type, details)`` of the key events that the log must get before it is signed next."""
        keys = self._keys()
        self._told = [key for key in keys if key.state in ("new", "retiring")]
        signers = [self._signer(key) for key in keys if key.state != "retired"]
        events = []
        for key in self._told:
            event_type = "KEY_ADDED" if key.state == "new" else "KEY_RETIRED"
            note = sign_note(_endorsement(event_type, key.verifier), signers)
            details = {"key_id": key.verifier.key_id, "vkey": key.verifier.vkey, "endorsement": note.decode("utf-8")}
            events.append((event_type, details))
        return events

    def settle(self) -> None:
        """Note that the events which :meth:`pending` told are in the log under a durable checkpoint."""
        if not self._told:
            return
        told = {key.verifier.key_id: key.state for key in self._told}
        keys = self._keys()
        retired = []
        for key in keys:
            state = told.get(key.verifier.key_id)
            if state != key.state:
                continue
            key.state, key.since = ("active", key.since) if state == "new" else ("retired", _now())
            if state == "retiring":
                retired.append(key)
        self._store(keys)
        for key in retired:
            remove_file(self._key_path(key.verifier.key_id))
        self._told = []

    def _keys(self) -> list[_Key]:
        data = read_bytes(self._path)
        keys = []
        for line in (data or b"").decode("utf-8", "replace").splitlines():
            vkey, _blank, comment = line.partition(" ")
            if not vkey or vkey.startswith("#"):
                continue
            words = comment.strip(" #").split()
            if not words or words[0] not in _STATES:
                raise IntegrityError(f"{self._path}: the state of a key is one of {', '.join(_STATES)}: {line!r}.")
            try:
                keys.append(_Key(Verifier.from_vkey(vkey), words[0], " ".join(words[1:])))
            except ValidationError as error:
                raise IntegrityError(f"{self._path}: {error.message}") from error
        return keys

    @staticmethod
    def _spell(keys: Iterable[_Key]) -> bytes:
        return (_HEAD + "".join(f"{key.verifier.vkey}  # {key.state} {key.since}\n" for key in keys)).encode()

    def _store(self, keys: Iterable[_Key]) -> None:
        write_atomic(self._path, self._spell(keys))

    def _key_path(self, key_id: str) -> str:
        return os.path.join(self.directory, f"{key_id}.key")

    def _make(self, name: str) -> Signer:
        signer = Signer.generate(name)
        make_private_directory(self.directory)
        write_atomic(self._key_path(signer.verifier.key_id), signer.pem())
        return signer

    def _make_first(self) -> None:
        host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname()) or "localhost"
        name = self._new_origin or f"{host}/scripts-toolkit/audit/{os.urandom(4).hex()}"
        signer = self._make(name)
        hidden = os.path.join(self.directory, f".{signer.verifier.key_id}.new")
        write_atomic(hidden, self._spell([_Key(signer.verifier, "new", _now())]))
        try:
            os.link(hidden, self._path)  # unlike a rename it fails when somebody else was first
        except FileExistsError:
            remove_file(self._key_path(signer.verifier.key_id))
        finally:
            os.unlink(hidden)
            fsync_directory(self.directory)

    def _signer(self, key: _Key) -> Signer:
        path = self._key_path(key.verifier.key_id)
        data = read_bytes(path)
        if data is None:
            raise NotFoundError(f"The private key {path} is gone, but the log is signed with it.")
        signer = Signer.from_pem(key.verifier.name, data)
        if signer.verifier != key.verifier:
            raise IntegrityError(f"{path} does not belong to the public key {key.verifier.vkey}.")
        return signer


class KeyHistory:
    """Follows the keys through the ``KEY_ADDED`` and ``KEY_RETIRED`` entries of a log.

    :param begin: keys that were trusted before the first entry looked at (of a pruned log).
    """

    def __init__(self, begin: Iterable[Verifier] = ()) -> None:
        self.active: dict[str, Verifier] = {verifier.vkey: verifier for verifier in begin}
        self.retired: dict[str, Verifier] = {}
        self.recorded = False

    def take(self, event_type: str, details: dict) -> None:
        """Take in one entry.

        :raises IntegrityError: it is not endorsed by all keys that were active, or is no such entry at all.
        """
        try:
            verifier = Verifier.from_vkey(str(details["vkey"]))
            note = str(details["endorsement"]).encode("utf-8")
        except (KeyError, TypeError, ValidationError) as error:
            raise IntegrityError(f"The {event_type} entry names no key: {error}") from error
        vkey, adding = verifier.vkey, event_type == "KEY_ADDED"
        if adding and vkey in self.retired:
            raise IntegrityError(f"The key {verifier.key_id} was added again after it was retired.")
        known = {**self.active, vkey: verifier}
        opened = open_note(note, known.values())
        signed = {signature.verifier.vkey for signature in opened.verified}
        if opened.text != _endorsement(event_type, verifier):
            raise IntegrityError(f"The endorsement of the key {verifier.key_id} says something else.")
        missing = ", ".join(key.key_id for name, key in known.items() if name not in signed)
        if missing:
            raise IntegrityError(f"The key {verifier.key_id}: {missing} did not sign its {event_type} entry.")
        if not adding and list(self.active) == [vkey]:
            raise IntegrityError(f"The key {verifier.key_id} was retired though it was the last one.")
        if not adding and vkey not in self.active and vkey not in self.retired:
            raise IntegrityError(f"The key {verifier.key_id} was retired but never added.")
        self.recorded = True
        if adding:
            self.active[vkey] = verifier
        else:
            self.retired[vkey] = verifier
            self.active.pop(vkey, None)
