# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Join the wishes of several roles and trees into one per path, or say which two exclude each other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ConflictError
from ansible_collections.scripts.toolkit.plugins.module_utils._files.wire import Wanted

from .wishes import Wish

__all__ = ["merge_wishes"]

_SAME = ("state", "checksum", "target", "force", "recursive")
_OPTIONAL = ("mode", "owner", "group", "set", "validate")


def merge_wishes(wishes: Iterable[Wish]) -> list[Wish]:
    """Return one wish per path, in the order of their first mention.

    Two wishes for one path are joined if what both say is the same; what only one of them says counts. The order in
    which they come changes nothing but the order of the result.

    :raises ConflictError: naming both options.
    """
    merged: dict[str, Wish] = {}
    for wish in wishes:
        dest = wish.wanted.dest
        merged[dest] = _join(merged[dest], wish) if dest in merged else wish
    _check_parents(merged)
    return list(merged.values())


def _join(first: Wish, second: Wish) -> Wish:
    one, other = first.wanted, second.wanted
    for name in _SAME:
        if getattr(one, name) != getattr(other, name):
            _refuse(first, second, "content" if name == "checksum" else name)
    values: dict = {}
    for name in _OPTIONAL:
        mine, theirs = getattr(one, name), getattr(other, name)
        if mine in (None, []):
            values[name] = theirs
        elif theirs in (None, [], mine):
            values[name] = mine
        else:
            _refuse(first, second, name)
    notify = dict(one.notify)
    for unit, action in other.notify.items():
        notify[unit] = "restart" if "restart" in (action, notify.get(unit)) else action
    joined: Wanted = replace(one, notify=notify, sensitive=one.sensitive or other.sensitive, **values)
    return Wish(joined, first.content, first.option)


def _refuse(first: Wish, second: Wish, what: str) -> None:
    dest = first.wanted.dest
    raise ConflictError(
        f"{first.option} and {second.option} both want {dest}, with different {what}.",
        hint="Leave one of them out, or make them the same.",
        item=dest,
    )


def _check_parents(merged: dict[str, Wish]) -> None:
    for dest, wish in merged.items():
        if wish.wanted.state == "absent":
            continue
        parent = dest.rpartition("/")[0]
        while parent:
            above = merged.get(parent)
            if above is not None and above.wanted.state != "directory":
                state = above.wanted.state
                raise ConflictError(
                    f"{wish.option} wants {dest} below {parent}, for which {above.option} wants state={state}.",
                    hint="Name the real directory." if above.wanted.state == "link" else None,
                    item=dest,
                )
            parent = parent.rpartition("/")[0]
