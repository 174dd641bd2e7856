# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``toolkit audit``: everything that people do with the audit trail, one file per group of commands.

Each submodule has ``register(commands, common)``: it adds its parsers to ``commands`` with ``parents=[common]``
(options ``--log-directory`` and ``--json``) and sets ``run`` on each. ``log_directory(options)`` says where the trail
lies.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
from collections.abc import Sequence

from ...plugins.module_utils._core.paths import base_directory

__all__ = ["GROUPS", "common_options", "log_directory", "register"]

GROUPS = ("search", "report", "proof", "upkeep", "deliver")
"""The submodules that add commands, in the order in which the help names them."""

_GROUP_OF = {"search": "search", "show": "search", "tail": "search", "report": "report", "diff": "report",
             "profile": "report"}  # fmt: skip

_DESCRIPTION = """\
Search, report on, verify and look after the audit trail that the callback scripts.toolkit.audit writes.

The trail lies in --log-directory, else $SCRIPTS_TOOLKIT_AUDIT_LOG_DIRECTORY, else /var/log/scripts-toolkit/audit for
root and ~/.local/state/scripts-toolkit/log/audit for other users."""


def log_directory(options: argparse.Namespace) -> str:
    """Return the absolute directory of the trail that the command line, the environment or the default names."""
    named = options.log_directory or os.environ.get("SCRIPTS_TOOLKIT_AUDIT_LOG_DIRECTORY")
    return os.path.abspath(os.path.expanduser(named or os.path.join(base_directory("log"), "audit")))


def common_options() -> argparse.ArgumentParser:
    """Return the parent parser of all commands of ``toolkit audit``."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--log-directory", metavar="DIRECTORY", help="where the trail lies; see toolkit audit -h")
    common.add_argument("--json", action="store_true", help="print the result as JSON")
    return common


def register(subparsers: argparse._SubParsersAction, argv: Sequence[str] = ()) -> None:
    """Add the command with the subcommands of every group.

    :param argv: what follows on the command line. Where its command is known, only its group is loaded, so that a
        search does not wait for what verifying needs.
    """
    parser = subparsers.add_parser(
        "audit",
        help="search, report on, verify and look after the audit trail",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(parser=parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    common = common_options()
    group = _GROUP_OF.get(argv[0]) if argv else None
    for name in (group,) if group else GROUPS:
        if importlib.util.find_spec(f".{name}", __name__) is not None:
            importlib.import_module(f".{name}", __name__).register(commands, common)
