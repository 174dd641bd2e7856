# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``toolkit host``: disposable Debian hosts."""

from __future__ import annotations

import argparse
import os
import sys
import time

from ..plugins.module_utils._core.files import write_atomic
from ..plugins.plugin_utils._hosts import Hosts
from ..plugins.plugin_utils._hosts.inventory import inventory_yaml
from ..plugins.plugin_utils._hosts.layout import SUITES
from .output import print_json, progress, table

__all__ = ["register"]

_DESCRIPTION = """\
Real Debian hosts with their own systemd, network and firewall, about two seconds each, on this machine.
They need Linux, root, and the Debian packages systemd-container, mmdebstrap, iproute2 and nftables.

  toolkit host up web01                     boot a host (Debian 12)
  toolkit host up a b c --suite trixie      boot three hosts (Debian 13) at once
  toolkit host ssh web01                    log in as root
  toolkit host ssh web01 systemctl status   run a command
  toolkit host inventory --output hosts.yml
  toolkit host down --all                   remove all hosts and their network

Everything lies under TOOLKIT_HOSTS_DIR (default: hosts under the collection's state directory)."""


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the command with its subcommands."""
    parser = subparsers.add_parser(
        "host",
        help="boot, list, reach, cut and remove disposable Debian hosts",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(parser=parser)
    actions = parser.add_subparsers(title="actions", metavar="ACTION")

    def add(name, function, summary, **keywords) -> argparse.ArgumentParser:
        action = actions.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".", **keywords)
        action.set_defaults(run=function)
        return action

    action = add("up", _up, "boot hosts, all at the same time; those that run are left as they are")
    action.add_argument("names", nargs="+", metavar="NAME")
    action.add_argument("--suite", choices=list(SUITES), default="bookworm", help="Debian suite (default: %(default)s)")
    action.add_argument("--install-missing", action="store_true", help="install missing Debian packages here (root)")
    action.add_argument("--json", action="store_true", help="print the hosts as JSON")
    action = add("list", _list, "list the hosts and their state (running, cut, starting, dead)")
    action.add_argument("--json", action="store_true", help="print them as JSON")
    action = add("ssh", _ssh, "log in as root, or run a command; ends with its exit code (255: no connection)")
    action.add_argument("name", metavar="NAME")
    action.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND", help="as with ssh; none for a shell")
    action = add("cut", _cut, "cut hosts off their network")
    action.add_argument("names", nargs="+", metavar="NAME")
    action.add_argument(
        "--how",
        choices=("link", "drop"),
        default="link",
        help="link: the cable is out; drop: every frame vanishes silently (default: %(default)s)",
    )
    action = add("heal", _heal, "reconnect hosts that were cut off, and wait until they answer")
    action.add_argument("names", nargs="+", metavar="NAME")
    action = add("restart", _restart, "pull the plug of hosts, boot them again, and wait until they answer")
    action.add_argument("names", nargs="+", metavar="NAME")
    action = add("inventory", _inventory, "print an Ansible inventory with the groups debian12 and debian13")
    action.add_argument("names", nargs="*", metavar="NAME", help="default: all that run")
    form = action.add_mutually_exclusive_group()
    form.add_argument("--yaml", action="store_true", help="as YAML (the default)")
    form.add_argument("--json", action="store_true", help="as JSON")
    action.add_argument("--output", metavar="FILE", help="write it to FILE instead")
    action = add("down", _down, "remove hosts at once with all they left, also after a crash")
    action.add_argument("names", nargs="*", metavar="NAME")
    action.add_argument("--all", action="store_true", help="all hosts")
    action.add_argument("--json", action="store_true", help="print the names of the removed hosts as JSON")
    action.set_defaults(parser=action)


def _rows(hosts: dict[str, dict]) -> str:
    now = time.time()
    return table(
        ("NAME", "SUITE", "ADDRESS", "STATE", "AGE"),
        [
            (name, host["suite"], host["address"], host["state"], f"{max(0, now - host['created']) / 60:.0f} min")
            for name, host in hosts.items()
        ],
    )


def _up(options: argparse.Namespace) -> int:
    hosts = Hosts(progress=progress).up(options.names, options.suite, options.install_missing)
    if options.json:
        print_json(hosts)
        return 0
    for name, host in hosts.items():
        if not host["created_now"]:
            progress(f"{name} was up already.")
    print(_rows(hosts))
    return 0


def _list(options: argparse.Namespace) -> int:
    hosts = Hosts().list()
    if options.json:
        print_json(hosts)
    elif hosts:
        print(_rows(hosts))
    else:
        progress("No host is up. `toolkit host up web01` boots one.")
    return 0


def _ssh(options: argparse.Namespace) -> int:
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    arguments = Hosts().ssh(options.name, command)
    sys.stdout.flush()
    os.execvp(arguments[0], arguments)
    return 255


def _cut(options: argparse.Namespace) -> int:
    Hosts().cut(options.names, options.how)
    return 0


def _heal(options: argparse.Namespace) -> int:
    Hosts().heal(options.names)
    return 0


def _restart(options: argparse.Namespace) -> int:
    Hosts().restart(options.names)
    return 0


def _inventory(options: argparse.Namespace) -> int:
    data = Hosts().inventory(options.names)
    if options.output:
        write_atomic(options.output, inventory_yaml(data).encode(), mode=0o600)
    elif options.json:
        print_json(data)
    else:
        print(inventory_yaml(data), end="")
    return 0


def _down(options: argparse.Namespace) -> int:
    if bool(options.names) == options.all:
        options.parser.print_usage(sys.stderr)
        print("toolkit host down: name the hosts, or give --all", file=sys.stderr)
        return 2
    gone = Hosts(progress=progress).down(None if options.all else options.names)
    if options.json:
        print_json(gone)
    else:
        progress(f"Removed: {', '.join(gone)}." if gone else "There was nothing to remove.")
    return 0
