# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether somebody who is logged in could log in again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from test_sshd_settings import effective

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import UnsafeError
from ansible_collections.scripts.toolkit.plugins.module_utils._sshd import lockout

OPEN = {
    "port": ["22"],
    "pubkeyauthentication": ["yes"],
    "passwordauthentication": ["yes"],
    "kbdinteractiveauthentication": ["no"],
    "permitrootlogin": ["yes"],
    "authorizedkeysfile": [".ssh/authorized_keys .ssh/authorized_keys2"],
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home" / ".ssh").mkdir(parents=True)
    (tmp_path / "shadow").write_text("root:*:1::::::\nann:$y$x:1::::::\nbob:!:1::::::\n")
    return tmp_path / "home"


def key(home: Path) -> None:
    (home / ".ssh" / "authorized_keys").write_text("# mine\nssh-ed25519 AAAA ann\n")


def reasons(name: str, home: Path, **changes) -> list[str]:
    after = effective({**OPEN, **changes})
    return lockout.reasons_against(name, str(home), effective(OPEN), after, str(home.parent / "shadow"))


def test_a_password_or_a_key_is_a_way_in(home: Path) -> None:
    assert reasons("ann", home) == []
    assert reasons("bob", home) == ["neither a key nor a password would let them in"]
    key(home)
    assert reasons("bob", home) == []


def test_a_way_in_that_is_closed_is_none(home: Path) -> None:
    assert reasons("ann", home, passwordauthentication=["no"])
    key(home)
    assert reasons("ann", home, passwordauthentication=["no"]) == []
    assert reasons("ann", home, passwordauthentication=["no"], pubkeyauthentication=["no"])
    assert reasons("ann", home, passwordauthentication=["no"], authorizedkeysfile=["/etc/keys/%u"])


def test_root_has_rules_of_its_own(home: Path) -> None:
    key(home)
    assert reasons("root", home) == []
    assert reasons("root", home, permitrootlogin=["without-password"]) == []
    assert "PermitRootLogin is no" in reasons("root", home, permitrootlogin=["no"])
    assert reasons("ann", home, permitrootlogin=["no"]) == []


def test_lists_of_users_that_change_can_not_be_judged(home: Path) -> None:
    key(home)
    assert reasons("ann", home, allowusers=["ann"]) == ["allowusers changes"]


def test_sessions_are_known_by_the_titles_of_their_processes(tmp_path: Path) -> None:
    titles = [
        "sshd: root@pts/0",
        "sshd-session: ann [priv]",
        "sshd: bob-1@notty",
        "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups",
        "ssh: /tmp/x [mux]",
    ]
    for number, title in enumerate(titles):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "cmdline").write_bytes(title.encode() + b"\0")
    assert lockout.logged_in(str(tmp_path)) == ["ann", "bob-1", "root"]


def test_with_nobody_logged_in_nothing_is_refused(monkeypatch) -> None:
    monkeypatch.setattr(lockout, "logged_in", list)
    lockout.refuse_lockout(effective(OPEN), effective({**OPEN, "port": ["2222"], "permitrootlogin": ["no"]}))


def test_closing_all_ports_or_addresses_and_shutting_out_root_is_refused() -> None:
    # A process with the title of a session; its name in /proc is what counts.
    with subprocess.Popen(
        ["sshd: root@pts/99", "-c", "import sys; print(flush=True); sys.stdin.read()"],
        executable=sys.executable,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as session:
        session.stdout.readline()
        try:
            with pytest.raises(UnsafeError, match=r"settings\.Port closes every port"):
                lockout.refuse_lockout(effective(OPEN), effective({**OPEN, "port": ["2222"]}))
            everywhere = {**OPEN, "listenaddress": ["0.0.0.0:22", "[::]:22", "0.0.0.0:2222", "[::]:2222"]}
            fewer_ports = {**OPEN, "listenaddress": ["0.0.0.0:22", "[::]:22"]}
            with pytest.raises(UnsafeError, match="might shut out root"):
                lockout.refuse_lockout(effective(everywhere), effective(fewer_ports))
            with pytest.raises(UnsafeError, match=r"settings\.ListenAddress takes away addresses"):
                lockout.refuse_lockout(effective(everywhere), effective({**OPEN, "listenaddress": ["127.0.0.1:22"]}))
            with pytest.raises(UnsafeError, match="might shut out root") as caught:
                lockout.refuse_lockout(effective(OPEN), effective({**OPEN, "permitrootlogin": ["no"]}))
        finally:
            session.stdin.close()
    assert "allow_lockout" in caught.value.hint
