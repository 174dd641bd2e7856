# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write the tables of variables in roles/*/README.md from meta/argument_specs.yml.

    .venv/bin/python tools/role_readmes.py

Only what is between the two markers is replaced; a test holds the tables to be current.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- variables: tools/role_readmes.py -->", "<!-- /variables -->"


def plain(text: str | list[str]) -> str:
    """Return documentation markup as Markdown on one line that may stand in a table."""
    joined = " ".join(text) if isinstance(text, list) else text
    joined = re.sub(r"O\(([\w.]+)#module:([\w.]+)\)", r"`\2` of `\1`", joined)
    joined = re.sub(r"\b[COVBI]\(((?:[^()\\]|\\.)*)\)", r"`\1`", joined)
    return " ".join(joined.split()).replace("|", "\\|")


def rows(options: dict, parent: str = "") -> Iterator[str]:
    """Yield the lines of the table for ``options`` and what is inside of them, as in ``nginx_sites[].name``."""
    for name, option in options.items():
        kind = option["type"] + (f" of {option['elements']}" if "elements" in option else "")
        default = "required" if option.get("required") else ""
        if "default" in option:
            value = option["default"]
            shown = value if isinstance(value, str) and value else json.dumps(value)
            default = f"`{shown}`".replace("|", "\\|") if len(shown) <= 60 else "see defaults/main.yml"
        yield f"| `{parent}{name}` | {kind} | {default} | {plain(option['description'])} |"
        inside = f"{parent}{name}[]." if option["type"] == "list" else f"{parent}{name}."
        yield from rows(option.get("options") or {}, inside)


def table(role: Path) -> str:
    """Return the table of a role's variables."""
    spec = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]["main"]
    lines = ["| variable | type | default | |", "|---|---|---|---|", *rows(spec.get("options") or {})]
    return "\n".join(lines) if len(lines) > 2 else "It has none."


def current(role: Path) -> str:
    """Return the README of a role with its table renewed."""
    text = (role / "README.md").read_text(encoding="utf-8")
    before, _begin, rest = text.partition(BEGIN)
    _old, _end, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table(role)}\n{END}{after}"


def main() -> None:
    for role in sorted((ROOT / "roles").iterdir()):
        (role / "README.md").write_text(current(role), encoding="utf-8")


if __name__ == "__main__":
    main()
