# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A witness of somebody else over HTTP, as C2SP tlog-witness has it (https://c2sp.org/tlog-witness).

It is given a checkpoint with the proof that the log only grew since the last one it cosigned, and gives its cosignature
with the time (https://c2sp.org/tlog-cosignature). That is verified with the pinned key and kept.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from ...module_utils._audit.metrics.targets import WitnessTarget
from ...module_utils._core.errors import IntegrityError, UnavailableError
from ...module_utils._core.signed_note import Signature, open_note
from .exchange import Answer, exchange, refusal

__all__ = ["cosigned", "held", "push"]

_SIZE = re.compile(rb"(0|[1-9][0-9]{0,18})\n?")
_MOST_PROOF = 63
_TRIES = 3

_HINTS = {
    404: "Its operator has to add the origin of this log.",
    403: "Its operator has to add the verifier key of this log (toolkit audit key).",
}


def _ask(target: WitnessTarget, old: int, proof: Sequence[bytes], note: bytes) -> Answer:
    lines = [f"old {old}\n", *(base64.b64encode(digest).decode("ascii") + "\n" for digest in proof), "\n"]
    path = urlsplit(target.access.url).path
    return exchange(target.access, "POST", f"{path}/add-checkpoint", "".join(lines).encode() + note, "text/plain")


def _held(answer: Answer) -> int | None:
    size = _SIZE.fullmatch(answer.body)
    return int(size[1]) if answer.status == 409 and size and answer.content_type == "text/x.tlog.size" else None


def _refused(target: WitnessTarget, answer: Answer) -> UnavailableError:
    error = refusal(target.access, answer)
    error.hint = _HINTS.get(answer.status)
    return error


def push(
    target: WitnessTarget, note: bytes, size: int, known: int, proof: Callable[[int], Sequence[bytes]]
) -> tuple[bytes, int]:
    """Have the checkpoint cosigned; return it with the cosignature added, and the time of that.

    :param size: entries under the checkpoint ``note``.
    :param known: entries under the last checkpoint that it cosigned, as far as we know; it knows better.
    :param proof: gives the consistency proof from a smaller size, not 0.
    :raises IntegrityError: it holds more or other entries than this log has, or its cosignature is wrong.
    :raises UnavailableError, TimeoutExpired: it does not answer, or refuses.
    """
    old = known if known <= size else 0
    for _try in range(_TRIES):
        steps = list(proof(old)) if 0 < old < size else []
        if len(steps) > _MOST_PROOF:
            raise UnavailableError(f"A proof of {len(steps)} lines is more than a witness takes.")
        answer = _ask(target, old, steps, note)
        if answer.status == 200:
            data, signature = cosigned(target, note, answer.body)
            return data, signature.time or 0
        at = _held(answer)
        if answer.status == 422 or (at is not None and at == old == size):
            raise IntegrityError(f"{target.name} cosigned {old} entries with which this log does not begin.")
        if at is not None and at > size:
            raise IntegrityError(f"{target.name} cosigned {at} entries, but this log has only {size}.")
        if at is None or at == old:
            break
        old = at
    raise _refused(target, answer)


def cosigned(target: WitnessTarget, note: bytes, lines: bytes) -> tuple[bytes, Signature]:
    """Return ``note`` with the witness's own signature line out of ``lines`` added, and that signature.

    :raises IntegrityError: there is none of the pinned key, or it is wrong.
    """
    text = note.rpartition(b"\n\n")[0] + b"\n"
    found = open_note(text + b"\n" + lines, [target.verifier]).verified[0]
    raw = base64.b64encode(bytes.fromhex(found.key_id) + found.signature).decode("ascii")
    line = f"\u2014 {found.name} {raw}\n".encode()
    return note if line in note else note + line, found


def held(target: WitnessTarget, note: bytes) -> int:
    """Ask the witness how many entries it has cosigned, by a checkpoint as if it knew none.

    :param note: a checkpoint of the log. A witness that in fact knows none takes it, and 0 is returned.
    :raises UnavailableError, TimeoutExpired: it does not answer, or not like that.
    """
    answer = _ask(target, 0, (), note)
    at = _held(answer)
    if at is not None:
        return at
    if answer.status == 200:
        return 0
    raise _refused(target, answer)
