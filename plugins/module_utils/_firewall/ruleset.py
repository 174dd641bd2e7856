# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The nft_ruleset module's work: one table, compared exactly, changed by commit-confirm."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable

from .._confirm.change import LiveChange
from .._confirm.session import Session
from .._core.commands import Commands
from .._core.errors import ConflictError, ValidationError
from .._core.files import read_bytes, write_atomic
from .._core.module import text_diff
from .boot import Boot
from .nft import Nft, is_ours
from .render import Policies, render_file, render_table
from .rules import Rule, parse_rules
from .sockets import listening, read_sockets, ssh_ports, ssh_sessions
from .verdict import interfaces_by_address, reachable_ports, refuse_lockout

__all__ = ["Ruleset", "allowed_ports"]

_TABLE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_CANDIDATE, _PREVIOUS, _BEFORE = "candidate.nft", "previous.nft", "before.txt"


def allowed_ports(rules: list[Rule]) -> list[str]:
    """Return ``22/tcp``, ``8000-8010/tcp``... of all input rules that accept, whoever they let in."""
    ends = {
        (rule.protocol, low, high)
        for rule in rules
        if rule.direction == "input" and rule.action == "accept"
        for low, high in rule.ports
    }
    return [f"{low if low == high else f'{low}-{high}'}/{protocol}" for protocol, low, high in sorted(ends)]


class _TableChange(LiveChange):
    """Replace, make or remove the live table; then the same in /etc."""

    def __init__(self, nft: Nft, boot: Boot, file_text: str, remove: bool, before: str | None) -> None:
        self._nft = nft
        self._boot = boot
        self._text = file_text
        self._remove = remove
        self._before = before

    def stage(self, directory: str) -> None:
        # A listing is not always what was loaded (nft 1.0.6 shortens "reject"), so the file is the better source.
        previous, before = self._boot.stored(), self._before
        if before is None or previous is None or not self._means(previous, before):
            previous = render_file(self._nft.table, before)
            before = None if before is None else self._nft.canonical(previous)
        for name, text in ((_CANDIDATE, self._text), (_PREVIOUS, previous), (_BEFORE, before or "")):
            write_atomic(os.path.join(directory, name), text.encode(), durable=False)
        self._nft.check(os.path.join(directory, _CANDIDATE))
        self._nft.check(os.path.join(directory, _PREVIOUS))

    def _means(self, text: str, listing: str) -> bool:
        try:
            return self._nft.canonical(text) == listing
        except ValidationError:
            return False  # Somebody has edited the file.

    def apply(self, directory: str) -> None:
        self._nft.load((read_bytes(os.path.join(directory, _CANDIDATE)) or b"").decode())

    def commit(self, directory: str) -> None:
        if self._remove:
            self._boot.remove()
            return
        self._boot.write((read_bytes(os.path.join(directory, _CANDIDATE)) or b"").decode())
        self._boot.start()

    def reverted(self, directory: str) -> bool:
        saved = (read_bytes(os.path.join(directory, _BEFORE)) or b"").decode()
        return (self._nft.live() or "") == saved

    @property
    def revert_script(self) -> str:
        return f'{shlex.quote(self._nft.program)} --file "$d/{_PREVIOUS}"'

    @property
    def committed_test(self) -> str:
        path = shlex.quote(self._boot.path)
        return f"[ ! -e {path} ]" if self._remove else f'cmp -s "$d/{_CANDIDATE}" {path}'


class Ruleset:
    """One call of nft_ruleset.

    :param params: the module's parameters.
    :param warn: told what a person should know.
    :raises ValidationError: an option can't be used.
    """

    def __init__(self, params: dict, commands: Commands, check_mode: bool, warn: Callable[[str], None]) -> None:
        self._check_mode = check_mode
        self._warn = warn
        self._commands = commands
        if not _TABLE.fullmatch(params["table"]):
            raise ValidationError(
                f"table={params['table']!r} is not a table name.", hint="Use letters, digits and underscores."
            )
        self._table = params["table"]
        self._absent = params["state"] == "absent"
        self._rules = parse_rules(params["rules"])
        self._policies = Policies(params["policy"], params["output_policy"], params["forward_policy"])
        self._session = Session.from_params(f"nft_ruleset-{self._table}", params, commands)
        self._nft = Nft(commands, self._table)
        self._boot = Boot(commands, self._table)
        self._definition = None if self._absent else render_table(self._table, self._rules, self._policies)
        self._file = render_file(self._table, self._definition)

    def work(self) -> dict:
        """Do what this call is for and return the module's result."""
        if self._session.stage != "apply":
            # The candidate was staged by the first call; what was live before it is not asked again.
            change = _TableChange(self._nft, self._boot, self._file, self._absent, None)
            if self._session.stage == "outcome":
                return {"changed": False, "outcome": self._session.outcome(change)}
            self._session.confirm(change)
            return {"changed": True}
        for note in self._session.settle(self._check_mode):
            self._warn(note)
        return self._apply()

    def _apply(self) -> dict:
        if self._check_mode and self._commands.find("nft") is None:
            # The package phase of this same run would install it.
            before, after = None, self._definition
        else:
            before = self._nft.live()
            after = None if self._definition is None else self._nft.canonical(self._file)
        stored = self._boot.stored()
        if before is not None and stored is None and not is_ours(before):
            raise ConflictError(
                f"table={self._table}: this host has a table inet {self._table} that somebody else made.",
                hint="Choose another table name, or delete that table first.",
            )
        sockets = read_sockets()
        ports = ssh_ports(self._commands, sockets)
        result = {
            "changed": False,
            "table": f"inet {self._table}",
            "allowed_ports": [] if self._absent else allowed_ports(self._rules),
            "listening": listening(sockets),
            "proof": "not_needed",
            "rolled_back": False,
            "diff": [],
        }
        self._differences(result, before, after, stored)
        if not self._absent and self._session.needs_proof:
            self._warn_of_closed(ports)
        if not result["changed"]:
            return result

        def guard() -> None:
            if not self._absent:
                sessions = ssh_sessions(sockets, ports)
                refuse_lockout(self._rules, self._policies, ports, sessions, interfaces_by_address(self._commands))

        if before == after:
            # What is live stays, so nobody can be locked out: only /etc is put right.
            if not self._check_mode:
                self._put_right()
        elif self._check_mode:
            result.update(self._session.predict(guard))
        else:
            change = _TableChange(self._nft, self._boot, self._file, self._absent, before)
            result.update(self._session.carry_out(change, guard))
        return result

    def _differences(self, result: dict, before: str | None, after: str | None, stored: str | None) -> None:
        """Fill in ``changed`` and ``diff``: the live table, the rules file, the unit files."""
        if before != after:
            result["diff"].append(text_diff(f"table inet {self._table}", before, after))
        wanted = None if self._absent else self._file
        if stored != wanted and before == after:
            # Otherwise it would only repeat the diff of the live table.
            result["diff"].append(text_diff(self._boot.path, stored, wanted))
        result["diff"] += [text_diff(*difference) for difference in self._boot.unit_differences(not self._absent)]
        result["changed"] = bool(result["diff"]) or not (self._absent or self._boot.unit_runs())

    def _put_right(self) -> None:
        if self._absent:
            self._boot.remove()
        else:
            self._boot.write(self._file)
            self._boot.start()

    def _warn_of_closed(self, ports: list[int]) -> None:
        closed = sorted(set(ports) - set(reachable_ports(self._rules, self._policies, ports)))
        if closed:
            self._warn(
                f"rules close the ssh server's port {', '.join(map(str, closed))}. Unless a new connection gets in "
                "another way, the previous rules come back by themselves."
            )
