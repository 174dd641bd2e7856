# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A room with its state in a temporary directory, and pictures of a directory tree to compare."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

from ansible_collections.scripts.toolkit.plugins.module_utils._core.commands import Commands
from ansible_collections.scripts.toolkit.plugins.module_utils._files.journal import no_hook
from ansible_collections.scripts.toolkit.plugins.module_utils._files.room import FileTreeRoom
from ansible_collections.scripts.toolkit.plugins.module_utils._files.wire import Wanted, pack_content


def run_command(args, data=None, binary_data=False, environ_update=None, cwd=None, handle_exceptions=True):
    """As AnsibleModule.run_command, as far as Commands uses it."""
    assert binary_data
    assert handle_exceptions
    done = subprocess.run(
        args,
        input=data,
        env={**os.environ, **(environ_update or {})},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def file_at(dest, text: str | bytes, **more) -> Wanted:
    data = text.encode() if isinstance(text, str) else text
    return Wanted(str(dest), checksum=hashlib.sha256(data).hexdigest(), size=len(data), **more)


class Host:
    """A host half that works below ``base``; ``debts`` records what is owed, in a file, so that it outlives a crash."""

    def __init__(self, base: Path) -> None:
        self.tree = base / "tree"
        self.state = base / "state"
        self.debts = base / "debts"
        self.tree.mkdir()

    def room(self, check: bool = False, hook=no_hook) -> FileTreeRoom:
        return FileTreeRoom(Commands(run_command), check, str(self.state), self._owe, hook)

    def _owe(self, unit: str, action: str) -> None:
        with self.debts.open("a") as handle:
            handle.write(f"{unit} {action}\n")

    def owed(self) -> str:
        return self.debts.read_text() if self.debts.exists() else ""

    def compare(self, wishes=(), sets=(), check=False, make_parents=True, text_limit=0, hook=no_hook) -> dict:
        return self.room(check, hook).answer(
            {
                "phase": "compare",
                "files": [wish.as_dict() for wish in wishes],
                "sets": [plan.as_dict() for plan in sets],
                "make_parents": make_parents,
                "text_limit": text_limit,
            }
        )

    def apply(self, wishes=(), sets=(), contents=(), removals=(), sensitive=(), hook=no_hook, archive=None) -> dict:
        inline = {}
        for text in contents:
            data = text.encode() if isinstance(text, str) else text
            inline[hashlib.sha256(data).hexdigest()] = pack_content(data)
        return self.room(hook=hook).answer(
            {
                "phase": "apply",
                "files": [wish.as_dict() for wish in wishes],
                "sets": [plan.as_dict() for plan in sets],
                "make_parents": True,
                "removals": list(removals),
                "contents": inline,
                "archive": archive,
                "sensitive": [str(path) for path in sensitive],
            }
        )

    def picture(self) -> dict:
        """Everything below the tree: kind, permission bits, owner and contents, by path."""
        result = {}
        for top, directories, files in os.walk(self.tree):
            for name in [*directories, *files]:
                path = Path(top, name)
                status = path.lstat()
                what = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
                result[str(path.relative_to(self.tree))] = (status.st_mode, status.st_uid, status.st_gid, what)
        return result

    def leftovers(self) -> list[str]:
        """What a finished or recovered transaction must not leave behind."""
        names = [str(path) for path in self.tree.rglob(".scripts-toolkit*")]
        if self.state.exists():
            names += [str(path) for path in self.state.iterdir() if path.name != "lock"]
        return names
