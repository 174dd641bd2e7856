# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a verification says: what is wrong and where, and what follows from finding nothing."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Optional

__all__ = ["BROKEN", "WITHOUT_WITNESS", "WITH_MEMORY", "WITH_WITNESS", "Finding", "Report"]

BROKEN = "The log is not what was signed, or not all of it is there."
WITHOUT_WITNESS = (
    "Only accidental change is ruled out: nothing that lies outside of the log was compared. Whoever can write the log "
    "can also reach its key and could have written another one."
)
WITH_MEMORY = (
    "The log continues the checkpoints that earlier verifications remembered here. That rules out change by whoever "
    "could not write this memory; root on this machine could."
)
WITH_WITNESS = (
    "The log continues the checkpoints of the witness: what lies below the newest of them was not changed since the "
    "witness took it, by nobody who can't write to the witness too."
)


@dataclass(frozen=True)
class Finding:
    """Something that is wrong.

    :param kind: ``entry``, ``segment``, ``tile``, ``checkpoint``, ``key``, ``erased``, ``blob``,
        ``remembered`` or ``witness``.
    :param where: which one.
    :param message: what is wrong with it.
    :param index: of the first entry concerned, where there is one.
    """

    kind: str
    where: str
    message: str
    index: Optional[int] = None


@dataclass
class Report:
    """What a verification found. ``ok`` is true when nothing is wrong.

    :param size: entries under the checkpoint; ``uncovered`` those that were committed after it.
    :param minimum: entries below it were pruned; ``erased`` are the indexes of those that were erased.
    :param signed_by: ids of the keys whose signatures were verified.
    :param remembered: sizes of remembered checkpoints that the log continues; ``witnessed`` those of witnesses.
    :param proves: one sentence about what this rules out.
    :param types: how many entries there are of each event type, where lines were parsed.
    """

    directory: str
    origin: str = ""
    size: int = 0
    root: str = ""
    uncovered: int = 0
    minimum: int = 0
    segments: int = 0
    tiles: int = 0
    signed_by: list[str] = field(default_factory=list)
    remembered: list[int] = field(default_factory=list)
    witnessed: list[int] = field(default_factory=list)
    erased: list[int] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    proves: str = WITHOUT_WITNESS
    types: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return not self.findings

    def as_dict(self) -> dict:
        """Return it as plain data with the additional key ``ok``."""
        return {**asdict(self), "ok": self.ok}
