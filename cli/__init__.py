# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command ``toolkit``: one file per command, each with ``register(subparsers)`` and functions that run it."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys

from ..plugins.module_utils._core.errors import ToolkitError
from ..plugins.module_utils._core.outcomes import error_from_os
from .output import complain
from .version import collection_version

__all__ = ["COMMANDS", "main"]

COMMANDS = ("provision", "host", "audit", "network")
"""The modules of the commands; only the one that is called for is imported."""

EXIT_CODES = """\
exit codes:
  0    done (also when nothing had to be done)
  1    it failed; standard error says what and how to go on
  2    the command line is wrong
  130  interrupted
Commands that run another program (host ssh, provision) end with its exit code."""


def _parser(argv: list[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="toolkit",
        description="Tools of the Ansible collection scripts.toolkit.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"scripts.toolkit {collection_version()}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name in argv[:1] if argv[:1] and argv[0] in COMMANDS else COMMANDS:
        command = importlib.import_module(f".{name}", __name__)
        if name == "audit":
            command.register(subparsers, argv[1:])
        else:
            command.register(subparsers)
    return parser


def _terminate(_number, _frame) -> None:
    raise SystemExit(128 + signal.SIGTERM)


def main(argv: list[str] | None = None) -> int:
    """Run the command line ``argv`` (``None`` for the process's own) and return its exit code."""
    argv = sys.argv[1:] if argv is None else list(argv)
    parser = _parser(argv)
    own, rest = argv, None
    if argv[:1] == ["provision"] and "--" in argv:
        own, rest = argv[: argv.index("--")], argv[argv.index("--") + 1 :]
    try:
        options = parser.parse_args(own)
        options.rest = rest or []
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 2
    if not hasattr(options, "run"):
        getattr(options, "parser", parser).print_help()
        return 0
    try:
        # SIGTERM unwinds like ctrl-c does, so that a half-made host is removed at once and not by the next call.
        signal.signal(signal.SIGTERM, _terminate)
    except ValueError:
        pass  # Not in the main thread; whoever calls from there deals with signals.
    try:
        return options.run(options)
    except ToolkitError as error:
        return complain(error, getattr(options, "json", False))
    except BrokenPipeError:
        # Whoever read our output, such as head, has enough. What is left in the buffer goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except OSError as error:
        return complain(error_from_os(error), getattr(options, "json", False))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
