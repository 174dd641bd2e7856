# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Scripts are checked as they are opened; programs are found where the sandbox has them."""

from __future__ import annotations

import hashlib
import os

import pytest
from test_sandbox_request import request_of

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ToolkitError
from ansible_collections.scripts.toolkit.plugins.module_utils._sandbox.request import ScriptWish
from ansible_collections.scripts.toolkit.plugins.module_utils._sandbox.script import interpreter, read_script
from ansible_collections.scripts.toolkit.plugins.module_utils._sandbox.view import check_paths, find_program

TEXT = b"#!/bin/sh\necho here\n"
SUM = hashlib.sha256(TEXT).hexdigest()


def sent(text: str, checksum: str | None = None) -> bytes:
    return read_script(ScriptWish(None, None, text, checksum, "root"))


def test_a_script_that_is_sent_is_compared_with_its_sum() -> None:
    assert sent(TEXT.decode(), SUM) == TEXT
    assert sent(TEXT.decode(), SUM.upper()) == TEXT
    assert sent("no \udcff text", None) == b"no \xff text"
    with pytest.raises(ToolkitError) as caught:
        sent("other", SUM)
    assert caught.value.kind == "integrity"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"#!/bin/sh", ["/bin/sh"]),
        (b"#! /usr/bin/env  python3 -I \nrest", ["/usr/bin/env", "python3 -I"]),
    ],
)
def test_the_first_line_is_read_as_the_kernel_does(line: bytes, words: list[str]) -> None:
    assert interpreter(line, "it") == words


@pytest.mark.parametrize("data", [b"", b"echo", b"#!", b"#!sh", b"\n#!/bin/sh"])
def test_a_script_names_its_interpreter(data: bytes) -> None:
    with pytest.raises(ToolkitError, match="no interpreter"):
        interpreter(data, "it")


def test_a_script_below_a_directory_of_everybody_is_unsafe(tmp_path) -> None:
    """Whatever the mode of the temporary directory's own parents: this one is open to all."""
    directory = tmp_path / "open"
    directory.mkdir()
    directory.chmod(0o777)
    script = directory / "script"
    script.write_bytes(TEXT)
    with pytest.raises(ToolkitError) as caught:
        read_script(ScriptWish(str(script), None, None, SUM, str(os.geteuid())))
    assert caught.value.kind == "unsafe"
    assert str(directory) in caught.value.message


def test_programs_are_found_where_the_sandbox_has_them(tmp_path) -> None:
    assert os.path.basename(find_program(request_of(), "sh")) == "sh"
    program = tmp_path / "program"
    program.touch(mode=0o755)
    with pytest.raises(ToolkitError, match="has no program"):
        find_program(request_of(), str(program))
    assert find_program(request_of(read_paths=[str(tmp_path)]), str(program)) == str(program)
    assert find_program(request_of(read_paths=[str(tmp_path)], chdir=str(tmp_path)), "./program") == str(program)


def test_a_link_out_of_what_is_granted_is_no_program(tmp_path) -> None:
    granted, other = tmp_path / "granted", tmp_path / "other"
    granted.mkdir()
    other.mkdir()
    (other / "program").touch(mode=0o755)
    (granted / "program").symlink_to(other / "program")
    with pytest.raises(ToolkitError, match="has no program"):
        find_program(request_of(read_paths=[str(granted)]), str(granted / "program"))


def test_paths_must_be_there(tmp_path) -> None:
    with pytest.raises(ToolkitError) as caught:
        check_paths(request_of(read_paths=[f"{tmp_path}/none"]))
    assert caught.value.kind == "not_found"
