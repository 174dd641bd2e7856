# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a change must be able to do so that it can be tried live first and confirmed afterwards."""

from __future__ import annotations

from abc import ABC, abstractmethod

__all__ = ["LiveChange"]


class LiveChange(ABC):
    """A change that can be live without being in /etc, and that a shell script alone can take back.

    ``directory`` is always the private directory of this change under /run; it is renamed as the change goes from
    one state to the next, so nothing may remember its path. In shell text it is ``$d``.
    """

    @abstractmethod
    def stage(self, directory: str) -> None:
        """Write into ``directory`` all that apply, revert and commit need. Nothing outside it may change.

        :raises ToolkitError: the candidate is refused by the program that will read it.
        """

    @abstractmethod
    def apply(self, directory: str) -> None:
        """Make the candidate live, and leave /etc as it is."""

    @abstractmethod
    def commit(self, directory: str) -> None:
        """Write /etc durably. One atomic step in it decides: before it :attr:`committed_test` fails, after it
        succeeds, and a crash on either side leaves a host that is wholly old or wholly new after a restart."""

    @abstractmethod
    def reverted(self, directory: str) -> bool:
        """Return whether what is live now is what was live when the change was staged."""

    @property
    @abstractmethod
    def revert_script(self) -> str:
        """Shell commands that make the previous state live; they may be run twice. The last one's status counts."""

    @property
    @abstractmethod
    def committed_test(self) -> str:
        """A shell command that succeeds when /etc holds the candidate."""
