# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.record.command_line import extra_var_names, rebuild

CANARY = "c4n4ry-9f8e"


def parse(text):
    if text.startswith("{"):
        return json.loads(text)
    return dict(word.split("=", 1) for word in shlex.split(text))


def test_what_is_known_is_written():
    line = rebuild(
        "/usr/bin/ansible-playbook",
        {
            "args": ("site.yml", "a b.yml"),
            "inventory": ("/srv/hosts.yml",),
            "subset": "web*",
            "tags": ("all",),
            "skip_tags": ("slow", "db"),
            "check": True,
            "diff": False,
            "forks": 5,
            "verbosity": 2,
            "become": True,
            "extra_vars": ("@vars.yml", "a=1 b=2"),
        },
        parse,
        {"tags": ("all",), "forks": 5},
    )
    assert shlex.split(line) == [
        *("ansible-playbook", "--inventory", "/srv/hosts.yml", "--become", "--check", "--skip-tags", "slow"),
        *("--skip-tags", "db", "--limit", "web*", "--extra-vars", "@vars.yml", "--extra-vars", "a=*** b=***", "-vv"),
        *("site.yml", "a b.yml"),
    ]


@pytest.mark.parametrize(
    "options",
    [
        {"extra_vars": (f"password={CANARY}",)},
        {"extra_vars": (f"a='x {CANARY}=1'",)},
        {"extra_vars": (f'{{"a": "{CANARY}"}}',)},
        {"extra_vars": (f"{{broken {CANARY}",)},
        {"extra_vars": (f"'{CANARY}",)},
        {"extra_vars": (f"{CANARY}=1",)},  # no name of a variable
        {"inventory": (f"{CANARY},",)},
        {"inventory": (f"host1,{CANARY}",)},
        {"module_args": f"echo {CANARY}"},
        {"ssh_extra_args": f"-o ProxyCommand={CANARY}"},
        {"some_new_option": CANARY},
    ],
)
def test_values_are_never_written(options):
    line = rebuild("ansible", options, parse)
    assert CANARY not in line
    assert "***" in line
    assert not any(CANARY in name for name in extra_var_names(options.get("extra_vars", ()), parse))


def test_names_of_extra_vars():
    assert extra_var_names(("b=1 a=2", '{"c": 3}', "@f.yml"), parse) == ["@f.yml", "a", "b", "c"]


@given(st.lists(st.text(min_size=1), max_size=500))
def test_it_is_never_long(playbooks):
    assert (
        len(json.dumps(rebuild("x", {"args": playbooks}, parse), ensure_ascii=False).encode("utf-8", "replace")) <= 2050
    )
