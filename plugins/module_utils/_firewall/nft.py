# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""nftables: what is live, what a text means to this kernel, loading it."""

from __future__ import annotations

import re

from .._core.commands import Commands, Completed
from .._core.errors import DependencyError, PermissionDenied, ToolkitError, UnavailableError, ValidationError
from .render import OWNER

__all__ = ["Nft", "comparable", "is_ours", "nft_error"]

_NO_NFT = ("Unable to initialize Netlink", "Protocol not supported", "Operation not supported", "Not supported")
_TABLE_COMMENT = re.compile(r'^table [^{]*\{\s*comment "([^"]*)"')


def nft_error(done: Completed) -> ToolkitError:
    """Return the error that says what a failed nft call means."""
    text = done.err or done.out
    complaint = next((line.strip() for line in text.splitlines() if "rror:" in line), done.complaint)
    if "Operation not permitted" in text or "must be root" in text:
        return PermissionDenied(f"nft: {complaint}", hint="Use become: true.")
    if any(sign in text for sign in _NO_NFT):
        return DependencyError(
            f"The kernel of this host refuses nftables: {complaint}",
            hint="It needs nf_tables (modprobe nf_tables; in a container, the host's kernel and CAP_NET_ADMIN).",
        )
    if "Could not process rule" in text:
        return DependencyError(
            f"The kernel of this host can't load these rules: {complaint}",
            hint="A module such as nft_ct, nft_limit, nft_log or nft_reject_inet may be missing.",
        )
    return ValidationError(f"nft refuses the rules: {complaint}")


def comparable(listing: str | None) -> str | None:
    """Return a listing without what changes by itself: nothing but trailing blanks, as it is made without state."""
    return None if listing is None else "\n".join(line.rstrip() for line in listing.strip().splitlines()) + "\n"


def is_ours(listing: str) -> bool:
    """Return whether the table of this listing carries our comment."""
    found = _TABLE_COMMENT.match(listing)
    return found is not None and found.group(1) == OWNER


class Nft:
    """The table ``inet NAME`` of this host.

    :raises DependencyError: (from each method) nft is missing.
    """

    def __init__(self, commands: Commands, table: str) -> None:
        self._commands = commands
        self.table = table

    @property
    def program(self) -> str:
        return self._commands.require("nft", "nftables")

    def live(self) -> str | None:
        """Return the live table as nft lists it, without counters and handles; ``None``: there is none.

        :raises ToolkitError: the kernel has no nftables, or this user may not ask.
        """
        done = self._commands.run([self.program, "-s", "list", "table", "inet", self.table])
        if done.ok:
            return comparable(done.out)
        if "No such file or directory" in done.err:
            return None
        raise nft_error(done)

    def canonical(self, text: str) -> str:
        """Return how this nft and this kernel list the table that ``text`` defines.

        It is loaded in a network namespace of its own, so that it is checked by the kernel itself, and what is live
        can be compared with it exactly, while nothing of this host changes.

        :raises ValidationError: nft refuses the text, or it makes another table than ours.
        """
        script = 'nft -f - || exit 3; [ "$(nft list tables)" = "table inet $1" ] || exit 4; nft -s list table inet "$1"'
        done = self._commands.run(
            [self._commands.require("unshare", "util-linux"), "--net", "/bin/sh", "-c", script, "sh", self.table],
            stdin=text,
            env={"PATH": "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"},
        )
        if done.ok:
            return comparable(done.out) or ""
        if "unshare failed" in done.err:
            raise PermissionDenied(
                f"No network namespace can be made to check the rules in: {done.complaint}", hint="Use become: true."
            )
        if done.rc == 4:
            raise ValidationError(f"The rules make another table than inet {self.table}.")
        raise nft_error(done)

    def check(self, path: str) -> None:
        """Have nft check the file against the live rule set without loading it.

        :raises ToolkitError: it is refused.
        """
        done = self._commands.run([self.program, "--check", "--file", path])
        if not done.ok:
            raise nft_error(done)

    def load(self, text: str) -> None:
        """Load ``text`` in one transaction.

        :raises UnavailableError: it is refused; nothing has changed then.
        """
        done = self._commands.run([self.program, "--file", "-"], stdin=text)
        if not done.ok:
            raise UnavailableError(f"The rules could not be loaded: {nft_error(done).message}")
