# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Brings groups and users of a host to what is wished, item by item."""

from __future__ import annotations

import grp
import os
import time
from collections.abc import Mapping
from dataclasses import replace

from .._core.commands import Commands, Completed
from .._core.errors import (
    ConflictError,
    NotFoundError,
    PermissionDenied,
    ToolkitError,
    UnavailableError,
    UnsafeError,
    ValidationError,
)
from .._core.module import text_diff
from .._core.outcomes import Outcomes
from .files import AccountFiles, Group, User, connected_users, login_definition, process_of, read_accounts
from .home import KeyFile, make_home, read_key_file, write_key_file
from .keys import merge_keys
from .plan import UserPlan, describe, plan_user
from .sudo import SudoFile
from .wishes import GroupWish, UserWish, group_wishes, user_wishes

__all__ = ["Accounts", "apply_accounts"]

_EXIT_CONFLICT = (4, 8, 9)
_EXIT_INVALID = (2, 3)
_EXIT_MISSING = (6,)
_IN_USE = 8
"""Exit statuses of useradd(8), usermod(8), userdel(8), groupadd(8): id or name taken, in use; bad option; no such."""


_LOCK_ATTEMPTS = 20
_LOCK_PAUSE = 0.5
"""Seconds between attempts; shadow's own wait is for the lock of the whole, not of each file."""


def _group_exists(gid: int) -> bool:
    """Return whether any source of the host, LDAP included, knows the group."""
    try:
        grp.getgrgid(gid)
    except KeyError:
        return False
    return True


class Accounts:
    """The accounts of this host.

    :param commands: runs Debian's ``passwd`` programs and ``visudo``.
    :param check: only predict.
    :param connected: names that must not be shut out.
    """

    def __init__(
        self, commands: Commands, check: bool, connected: set[str], etc: str = "/etc", proc: str = "/proc"
    ) -> None:
        self._commands = commands
        self._check = check
        self._connected = connected
        self._etc = etc
        self._proc = proc
        self.files: AccountFiles = read_accounts(etc)
        self.outcomes = Outcomes()

    def _run(self, program: str, *arguments: str, stdin: str | None = None) -> Completed | None:
        if self._check:
            return None
        done = self._try(program, *arguments, stdin=stdin)
        if not done.ok:
            kind: type[ToolkitError] = UnavailableError
            if done.rc in _EXIT_CONFLICT:
                kind = ConflictError
            elif done.rc in _EXIT_INVALID:
                kind = ValidationError
            elif done.rc in _EXIT_MISSING:
                kind = NotFoundError
            raise kind(f"{program} failed: {done.complaint.rstrip('.')}.")
        return done

    def _try(self, program: str, *arguments: str, stdin: str | None = None) -> Completed:
        """Run a program, for some seconds again and again while another one (dpkg, a run just killed) has the lock."""
        argv = [self._commands.require(program, "passwd"), *arguments]
        for _attempt in range(_LOCK_ATTEMPTS):
            done = self._commands.run(argv, stdin=stdin)
            if done.ok or "lock" not in done.err:
                break
            time.sleep(_LOCK_PAUSE)
        return done

    def _reread(self) -> None:
        if not self._check:
            self.files = read_accounts(self._etc)

    def _show(self, item: str, before: str | None, after: str | None) -> None:
        self.outcomes.diffs.append(text_diff(item, before, after))

    def _mend(self, outcome: dict, user: str | None, groups: set[str]) -> None:
        """Make lines fit together again that an interrupted run, or somebody, left torn."""
        for program, torn, names in (
            ("pwconv", self.files.torn_users, {user}),
            ("grpconv", self.files.torn_groups, groups),
        ):
            if torn & names:
                self._run(program)
                outcome["changed"] = True
                text = f"entries that do not fit together: {', '.join(sorted(torn & names))}\n"
                self._show("/etc/passwd and shadow" if user in torn & names else "/etc/group and gshadow", text, "")
                for name in torn & set(self.files.users):
                    self.files.users[name] = replace(self.files.users[name], secret="x")
                # Both programs mend all entries at once.
                torn.clear()
                self._reread()

    # Groups

    def group(self, wish: GroupWish) -> None:
        """Create, change or remove one group."""
        with self.outcomes.item(wish.item) as outcome:
            self._mend(outcome, None, {wish.name})
            found = self.files.groups.get(wish.name)
            owner = None if wish.gid is None else self.files.group_name(wish.gid)
            if wish.present and owner not in (None, wish.name):
                raise ConflictError(
                    f"groups.gid={wish.gid} is the number of the group {owner}.", hint="Choose another."
                )
            before = None if found is None else f"gid: {found.gid}\n"
            if not wish.present:
                if found is None:
                    return
                if found.gid == 0:
                    raise UnsafeError("This is root's group.", hint="Take it off the list.")
                users = sorted(user.name for user in self.files.users.values() if user.gid == found.gid)
                if users:
                    raise ConflictError(
                        f"It is the primary group of {', '.join(users)}.",
                        hint="Remove them, or give them another group.",
                    )
                self._run("groupdel", wish.name)
                self.files.groups.pop(wish.name)
                self._show(wish.item, before, None)
            elif found is None:
                gid = [] if wish.gid is None else ["-g", str(wish.gid)]
                self._run("groupadd", *gid, *(["-r"] if wish.system else []), wish.name)
                self.files.groups[wish.name] = Group(wish.name, -1 if wish.gid is None else wish.gid)
                self._show(wish.item, None, f"gid: {'(the next free one)' if wish.gid is None else wish.gid}\n")
            elif wish.gid is not None and wish.gid != found.gid:
                self._run("groupmod", "-g", str(wish.gid), wish.name)
                self.files.groups[wish.name] = replace(found, gid=wish.gid)
                self._show(wish.item, before, f"gid: {wish.gid}\n")
            else:
                return
            outcome["changed"] = True
            self._reread()

    # Users

    def user(self, wish: UserWish) -> None:
        """Create, change or remove one user with keys and rules."""
        with self.outcomes.item(wish.item) as outcome:
            outcome["changes"] = []
            if not wish.present:
                self._refuse_removal(wish)
            self._mend(outcome, wish.name, {wish.name, *(wish.groups or ()), *({wish.group} - {None})})
            if outcome["changed"]:
                outcome["changes"].append("mended")
            if wish.present:
                self._present(wish, outcome)
            else:
                self._absent(wish, outcome)

    def _done(self, outcome: dict, *changes: str) -> None:
        outcome["changed"] = True
        outcome["changes"] += [change for change in changes if change not in outcome["changes"]]

    def _present(self, wish: UserWish, outcome: dict) -> None:
        found = self.files.users.get(wish.name)
        self._refuse_lockout(wish)
        owner = next((user.name for user in self.files.users.values() if user.uid == wish.uid), wish.name)
        if owner != wish.name:
            raise ConflictError(f"users.uid={wish.uid} is the number of the user {owner}.", hint="Choose another.")
        sudo = SudoFile(self._commands, wish.name, os.path.join(self._etc, "sudoers.d"))
        rules = None if wish.sudo is None else sudo.text(wish.sudo)
        if rules is not None:
            sudo.check(rules, preview=self._check)
        plan = plan_user(wish, self.files)
        self._require_groups(wish)
        before = None
        if found is not None:
            self._complete(wish, found, outcome)
            group = self.files.group_name(found.gid) or str(found.gid)
            before = describe(found, group, self.files.groups_of(wish.name))
        if plan.arguments:
            self._run("useradd" if found is None else "usermod", *plan.arguments, wish.name)
            self._done(outcome, *[change for change in plan.changes if change != "password"])
        if plan.secret is not None:
            self._run("chpasswd", "-e", stdin=f"{wish.name}:{plan.secret}\n")
            self._done(outcome, *plan.changes)
        if plan.changes:
            after = describe(plan.after, plan.group_after, plan.groups_after)
            note = "password: changed (not shown)\n" if found is not None and "password" in plan.changes else ""
            self._show(wish.item, before, after + note)
            self._reread()
            self._remember(plan)
        user = self.files.users[wish.name]
        made = self._home(wish, user, outcome)
        if wish.keys is not None:
            self._keys(wish, user, outcome, fresh=made or found is None)
        if wish.sudo is not None:
            self._sudo(sudo, rules, outcome)

    def _complete(self, wish: UserWish, found: User, outcome: dict) -> None:
        """Make the group of a user whose making was interrupted: useradd writes passwd first, and group last."""
        if wish.group is None and not _group_exists(found.gid) and wish.name not in self.files.groups:
            self._run("groupadd", "-g", str(found.gid), wish.name)
            self.files.groups[wish.name] = Group(wish.name, found.gid)
            self._done(outcome, "group")

    def _refuse_lockout(self, wish: UserWish) -> None:
        if wish.locked and (wish.name == "root" or wish.name in self._connected):
            raise UnsafeError(
                f"users.locked would shut out {wish.name}, who is connected.", hint="Lock it as another user."
            )
        if wish.exclusive_keys and not wish.keys and wish.name in self._connected:
            raise UnsafeError(
                f"An empty authorized_keys with exclusive_keys would shut out {wish.name}, who is connected.",
                hint="List at least one key.",
            )

    def _require_groups(self, wish: UserWish) -> None:
        missing = [name for name in (*(wish.groups or ()), wish.group) if name and name not in self.files.groups]
        if missing and not self._check:
            raise NotFoundError(
                f"There is no group {', '.join(missing)} on this host.", hint="List it in the option groups."
            )

    def _remember(self, plan: UserPlan) -> None:
        """Keep the model of the host true in a preview, where nothing can be read again."""
        if self._check:
            user = plan.after
            self.files.users[user.name] = user
            if plan.group_after not in self.files.groups:
                self.files.groups[plan.group_after] = Group(plan.group_after, user.gid)
            for name, group in list(self.files.groups.items()):
                members = {*group.members} - {user.name} | ({user.name} if name in plan.groups_after else set())
                self.files.groups[name] = replace(group, members=tuple(sorted(members)))

    def _home(self, wish: UserWish, user: User, outcome: dict) -> bool:
        create = wish.create_home
        if create is None:
            low, high = (
                int(login_definition(name) or preset) for name, preset in (("UID_MIN", 1000), ("UID_MAX", 60000))
            )
            create = not wish.system and (user.uid < 0 or low <= user.uid <= high)
        if not create or user.home == "/nonexistent" or os.path.isdir(user.home):
            return False
        if not self._check:
            mode = login_definition("HOME_MODE")
            make_home(user.home, user.uid, user.gid, int(mode, 8) if mode else 0o700)
        if "created" not in outcome["changes"]:
            self._done(outcome, "home")
            self._show(f"{user.home}/", None, "a new home\n")
        return True

    def _keys(self, wish: UserWish, user: User, outcome: dict, fresh: bool) -> None:
        file = KeyFile("", exists=False, private=True)
        if not (self._check and fresh and not os.path.isdir(user.home)):
            file = read_key_file(user.name, user.uid, user.gid, user.home)
        text = merge_keys(file.text, wish.keys, wish.exclusive_keys)
        same = text.splitlines() == file.text.splitlines()
        if same and file.private:
            return
        if not self._check:
            write_key_file(user.name, user.uid, user.gid, user.home, file.text if same else text)
        self._done(outcome, "authorized_keys")
        path = f"{user.home}/.ssh/authorized_keys"
        if same:
            self._show(path, "others may read or write it\n", "mode 0600 in a directory with mode 0700\n")
        else:
            printable = [part.encode("utf-8", "replace").decode() for part in (file.text, text)]
            self._show(path, printable[0] if file.exists else None, printable[1])

    def _sudo(self, sudo: SudoFile, rules: str | None, outcome: dict) -> None:
        current = sudo.read()
        if current == rules and (current is None or sudo.is_private()):
            return
        if not self._check:
            sudo.write(rules)
        self._done(outcome, "sudo")
        self._show(sudo.path, current, rules)

    def _refuse_removal(self, wish: UserWish) -> None:
        found = self.files.users.get(wish.name)
        if wish.name == "root" or wish.name in self._connected or (found and found.uid == 0):
            raise UnsafeError(
                f"{wish.name} is root, or the one who is connected; the removal would shut you out.",
                hint="Connect as another user, or take this one off the list.",
            )

    def _absent(self, wish: UserWish, outcome: dict) -> None:
        found = self.files.users.get(wish.name)
        # Rights first: whatever comes after, they are gone.
        self._sudo(SudoFile(self._commands, wish.name, os.path.join(self._etc, "sudoers.d")), None, outcome)
        if found is None:
            return
        flags = []
        if wish.remove_home and os.path.isdir(found.home):
            self._check_removable(found)
            flags = ["-r"]
        group = self.files.group_name(found.gid) or str(found.gid)
        before = describe(found, group, self.files.groups_of(wish.name))
        self._userdel(found, flags, outcome)
        self._done(outcome, "removed", *(["home"] if flags else []))
        self._show(wish.item, before, None)
        self._forget(found)
        self._reread()

    def _userdel(self, found: User, flags: list[str], outcome: dict) -> None:
        if self._check:
            process = process_of(found.uid, self._proc)
            complaint = f"the account is used by process {process}" if process else ""
        else:
            done = self._try("userdel", *flags, found.name)
            complaint = done.complaint if done.rc == _IN_USE else ""
            if not done.ok and not complaint:
                raise UnavailableError(f"userdel failed: {done.complaint.rstrip('.')}.")
        if complaint:
            if found.expires is None or found.expires > 1:
                self._run("usermod", "-L", "-e", "1", found.name)
                self._done(outcome, "locked")
            raise ConflictError(
                f"{found.name} can't be removed now: {complaint}. The account is locked, and its sudo rules are gone.",
                hint=f"End its processes (loginctl terminate-user {found.name}), then run again.",
            )

    def _check_removable(self, found: User) -> None:
        others = [
            user.name
            for user in self.files.users.values()
            if user.name != found.name and os.path.commonpath([user.home or "/", found.home]) == found.home
        ]
        if found.home.count("/") < 2 or os.stat(found.home).st_uid != found.uid or others:
            raise UnsafeError(
                f"The home {found.home} is not that of one user alone"
                + (f" ({', '.join(others)})." if others else "."),
                hint="Remove the user without remove_home, and the directory by hand.",
            )

    def _forget(self, found: User) -> None:
        """Keep the model true in a preview: userdel takes an empty group of the same name along."""
        self.files.users.pop(found.name, None)
        for name, group in list(self.files.groups.items()):
            self.files.groups[name] = replace(group, members=tuple(one for one in group.members if one != found.name))
        own = self.files.groups.get(found.name)
        used = {user.gid for user in self.files.users.values()}
        if own and own.gid == found.gid and not own.members and own.gid not in used:
            self.files.groups.pop(found.name)


def apply_accounts(options: Mapping, check: bool, commands: Commands) -> dict:
    """Bring the host to what ``options`` (those of ``accounts``) say and return the module's result.

    :raises ToolkitError: an option can't be used; nothing was done.
    """
    groups, users = group_wishes(options["groups"]), user_wishes(options["users"])
    if os.geteuid() != 0:
        raise PermissionDenied("Accounts are root's to read and change.", hint="Use become: true.")
    accounts = Accounts(commands, check, connected_users())
    for wish in groups:
        if wish.present:
            accounts.group(wish)
    for wish in sorted(users, key=lambda wish: not wish.present):
        accounts.user(wish)
    for wish in groups:
        if not wish.present:
            accounts.group(wish)
    told = {}
    for wish in users:
        user = accounts.files.users.get(wish.name)
        if user is not None:
            ids = {"uid": user.uid if user.uid >= 0 else None, "gid": user.gid if user.gid >= 0 else None}
            told[wish.name] = {**ids, "home": user.home, "shell": user.shell}
    return {**accounts.outcomes.result(), "accounts": told}
