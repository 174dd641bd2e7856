# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Turn the options of ``file_tree`` into one wish per path, with its content."""

from __future__ import annotations

import fnmatch
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.common.text.converters import to_bytes, to_text

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ValidationError
from ansible_collections.scripts.toolkit.plugins.module_utils._core.files import parse_mode
from ansible_collections.scripts.toolkit.plugins.module_utils._files.wire import SetPlan, Wanted

from .sources import Content, Sources

__all__ = ["Wish", "read_sets", "read_wishes"]

_SUFFIX = ".j2"


@dataclass
class Wish:
    """What shall be at one path, its content if it is a file, and the option that asks for it."""

    wanted: Wanted
    content: Content | None
    option: str


def read_wishes(options: Mapping[str, Any], sources: Sources) -> list[Wish]:
    """Return a wish for every entry of ``files`` and for everything in ``trees``.

    :raises ToolkitError: an option is wrong, a source is missing, or a template can't be rendered; the first of them.
    """
    wishes = [_read_file(entry, f"files[{number}]", sources) for number, entry in enumerate(options["files"]) if entry]
    for number, entry in enumerate(options["trees"]):
        wishes.extend(_read_tree(entry, f"trees[{number}]", sources))
    return wishes


def read_sets(options: Mapping[str, Any], wishes: list[Wish]) -> list[SetPlan]:
    """Return the sets, those of the same name joined.

    :raises ValidationError: a wish names a set that is not there, or two of the same name have different validators.
    """
    sets: dict[str, SetPlan] = {}
    for number, entry in enumerate(options["sets"]):
        plan = SetPlan(
            entry["name"],
            list(entry["validate"]),
            _read_notify(entry["notify"], f"sets[{number}]"),
            list(entry["purge"]),
        )
        known = sets.setdefault(plan.name, plan)
        if known is plan:
            continue
        if known.validate and plan.validate and known.validate != plan.validate:
            raise ValidationError(
                f"sets: {plan.name} is there twice, with validate={known.validate} and validate={plan.validate}.",
                item=plan.name,
            )
        known.validate = known.validate or plan.validate
        for unit, action in plan.notify.items():
            known.notify[unit] = "restart" if "restart" in (action, known.notify.get(unit)) else action
        known.purge.extend(pattern for pattern in plan.purge if pattern not in known.purge)
    for wish in wishes:
        if wish.wanted.set is not None and wish.wanted.set not in sets:
            raise ValidationError(
                f"{wish.option}.set: there is no set {wish.wanted.set} in sets.",
                hint=f"Add it, at least as - name: {wish.wanted.set}.",
                item=wish.wanted.dest,
            )
    return list(sets.values())


def _read_notify(notify: Mapping[str, str] | None, option: str) -> dict[str, str]:
    for unit, action in (notify or {}).items():
        if action not in ("reload", "restart"):
            raise ValidationError(f"{option}.notify: {unit}: {action!r} is neither reload nor restart.")
        if "." not in unit or "/" in unit or unit.startswith("."):
            raise ValidationError(f"{option}.notify: {unit!r} is not a full unit name.", hint=f"Write {unit}.service.")
    return dict(notify or {})


def _read_dest(dest: str, option: str, state: str) -> str:
    def refuse(why: str) -> None:
        raise ValidationError(f"{option}.dest: {dest!r} {why}", item=dest)

    if not dest.startswith("/"):
        refuse("is not an absolute path.")
    if ".." in dest.split("/") or "\0" in dest or "\n" in dest:
        refuse("is not a plain path: no .., no line breaks.")
    if state != "directory" and dest.endswith("/"):
        refuse("is the name of a directory; a file needs its full path.")
    normal = os.path.normpath(dest).replace("//", "/")
    if normal == "/":
        refuse("is the root of the file system.")
    return normal


def _common(entry: Mapping[str, Any], option: str, mode: str = "mode") -> dict:
    validate = list(entry["validate"])
    if validate and not any("%s" in part for part in validate):
        raise ValidationError(
            f"{option}.validate: no argument holds %s, which stands for the new file.",
            hint="To check the live files use validate of a set.",
        )
    return {
        "mode": parse_mode(None if entry[mode] is None else _plain(entry[mode]), f"{option}.{mode}"),
        "owner": entry["owner"],
        "group": entry["group"],
        "force": entry["force"],
        "validate": validate,
        "set": entry["set"],
        "sensitive": entry["sensitive"],
        "notify": _read_notify(entry["notify"], option),
    }


def _plain(value: Any) -> Any:
    """A mode as :func:`parse_mode` takes it: text as text, whatever subclass of it Ansible has made."""
    return to_text(value) if isinstance(value, str) else value


def _read_file(entry: Mapping[str, Any], option: str, sources: Sources) -> Wish:
    state = entry["state"]
    dest = _read_dest(entry["dest"], option, state)
    common = _common(entry, option)
    has_content, has_src = entry["content"] is not None, bool(entry["src"])
    if state == "file" and has_content == has_src:
        raise ValidationError(f"{option}: {dest} needs exactly one of content and src.", item=dest)
    if state == "link" and (has_content or not has_src):
        raise ValidationError(f"{option}: {dest} needs src, the target of the link, and no content.", item=dest)
    if state in ("directory", "absent") and (has_content or has_src):
        raise ValidationError(f"{option}: {dest} with state={state} takes neither content nor src.", item=dest)
    if state == "link" and common["mode"] is not None:
        raise ValidationError(f"{option}.mode: {dest} is a link, which has no mode.", item=dest)
    wanted = Wanted(dest=dest, state=state, recursive=entry["recursive"], **common)
    content = None
    if state == "link":
        wanted.target = to_text(entry["src"])
    elif state == "file":
        content = _text_content(entry["content"]) if has_content else _file_content(entry, option, dest, sources)
        wanted.checksum, wanted.size = content.checksum, content.size
    return Wish(wanted, content, option)


def _text_content(value: Any) -> Content:
    if isinstance(value, (list, dict)):
        value = json.dumps(value)
    return Content.of(to_bytes(value if isinstance(value, (str, bytes)) else str(value), errors="surrogate_or_strict"))


def _file_content(entry: Mapping[str, Any], option: str, dest: str, sources: Sources) -> Content:
    src = entry["src"]
    template = src.endswith(_SUFFIX) if entry["template"] is None else entry["template"]
    path = sources.find(src, f"{option}.src", dest, template=template)
    if template:
        return sources.render(path, src, f"{option}.src", dest, entry["vars"], entry["sensitive"])
    return sources.content(path, f"{option}.src", dest)


def _excluded(relative: str, patterns: list[str]) -> bool:
    name = os.path.basename(relative)
    return any(fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(relative, pattern) for pattern in patterns)


def _walk(top: str, relative: str, exclude: list[str]) -> Iterator[tuple[str, str]]:
    """Yield ``(kind, path relative to top)`` for everything below, sorted, directories before what they hold."""
    for name in sorted(os.listdir(os.path.join(top, relative))):
        inner = os.path.join(relative, name)
        if _excluded(inner, exclude):
            continue
        path = os.path.join(top, inner)
        if os.path.islink(path):
            yield "link", inner
        elif os.path.isdir(path):
            yield "directory", inner
            yield from _walk(top, inner, exclude)
        else:
            yield "file", inner


def _strip(path: str) -> str:
    return path[: -len(_SUFFIX)] if path.endswith(_SUFFIX) else path


def _link_target(top: str, relative: str) -> str:
    """The link's target as it is; where it names a template of the tree, without the suffix that this loses."""
    target = os.readlink(os.path.join(top, relative))
    resolved = os.path.normpath(os.path.join(top, os.path.dirname(relative), target))
    inside = not os.path.isabs(target) and resolved.startswith(top.rstrip("/") + "/")
    return _strip(target) if inside and os.path.isfile(resolved) else target


def _read_tree(entry: Mapping[str, Any], option: str, sources: Sources) -> list[Wish]:
    dest = _read_dest(entry["dest"], option, "directory")
    top = sources.find(entry["src"], f"{option}.src", dest, directory=True).rstrip("/")
    files = _common(entry, option)
    directories = {**files, "validate": [], "mode": _common(entry, option, "directory_mode")["mode"], "force": True}
    wishes = [Wish(Wanted(dest=dest, state="directory", **directories), None, option)]
    for kind, relative in _walk(top, "", list(entry["exclude"])):
        where = f"{option} {relative}"
        path = os.path.join(top, relative)
        target = os.path.join(dest, relative if kind == "directory" else _strip(relative))
        if kind == "directory":
            wishes.append(Wish(Wanted(dest=target, state="directory", **directories), None, where))
        elif kind == "link":
            link = {**files, "mode": None, "validate": []}
            wishes.append(
                Wish(Wanted(dest=target, state="link", target=_link_target(top, relative), **link), None, where)
            )
        else:
            if relative.endswith(_SUFFIX):
                shown = os.path.join(entry["src"], relative)
                content = sources.render(path, shown, where, target, entry["vars"], entry["sensitive"])
            else:
                content = sources.content(path, where, target)
            wanted = Wanted(dest=target, checksum=content.checksum, size=content.size, **files)
            wishes.append(Wish(wanted, content, where))
    return wishes
