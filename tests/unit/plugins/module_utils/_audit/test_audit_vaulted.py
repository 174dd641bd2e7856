# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets that the vault holds are found, learned and replaced, however they are spelled."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.record.recorder import Identity, Recorder
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.record.redact import Redactor
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.record.vaulted import Vaulted

SECRET = "pä\"ss\\wörd's"


class Encrypted:
    """As ansible-core's inline vault objects: a plain text, or an error where the key is missing."""

    def __init__(self, text):
        self._text = text

    def __str__(self):
        if self._text is None:
            raise ValueError("no key")
        return self._text


class Loader:
    def __init__(self):
        self._FILE_CACHE = {}


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        json.dumps(SECRET)[1:-1],
        repr(SECRET),
        base64.b64encode(SECRET.encode()).decode(),
        f"x{SECRET}y {SECRET}",
    ],
)
def test_every_spelling_of_a_learned_secret(form):
    redactor = Redactor()
    redactor.learn(SECRET)
    for text in (redactor.known(f"<{form}>"), redactor.text(f"<{form}>"), redactor.short(f"<{form}>", 100)):
        assert SECRET not in text
        assert "w\\u00f6rd" not in text
        assert "wörd" not in text
        assert "***" in text
    assert redactor.knows(form)
    assert not redactor.knows("something else")


def test_common_words_and_short_values_are_not_learned():
    redactor = Redactor()
    for word in ("present", "Changed", "short", ""):
        redactor.learn(word)
    assert redactor.known("present changed short") == "present changed short"


@given(
    st.lists(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=6, max_size=20), max_size=8),
    st.data(),
)
def test_many_and_few_secrets_are_found_alike(secrets, data):
    few, many = Redactor(), Redactor()
    for number in range(300):
        many.learn(f"filler-{number:04}-filler")
    for secret in secrets:
        few.learn(secret)
        many.learn(secret)
    text = " ".join(data.draw(st.lists(st.sampled_from([*secrets, "word", "filler"]), max_size=10)))
    assert few.known(text) == many.known(text)


def test_what_the_vault_holds_is_found():
    found = []
    vaulted = Vaulted((Encrypted,), found.append)
    vaulted.look({"a": [Encrypted("inline-1"), {"b": Encrypted("tiny")}], "c": "plain text", "d": Encrypted(None)})
    assert found == ["inline-1"]
    found.clear()
    vaulted.look(Encrypted("-----BEGIN KEY-----\nfirst-line-of-it\nx\n-----END KEY-----\n"))
    assert found == ["-----BEGIN KEY-----\nfirst-line-of-it\nx\n-----END KEY-----", "first-line-of-it"]


def test_parsed_files_are_looked_at_once(tmp_path):
    found = []
    whole, plain = tmp_path / "whole.yml", tmp_path / "plain.yml"
    whole.write_bytes(b"$ANSIBLE_VAULT;1.1;AES256\n3033\n")
    plain.write_bytes(b"a: 1\n")
    loader, vaulted = Loader(), Vaulted((Encrypted,), found.append)
    loader._FILE_CACHE[str(plain)] = {"a": "not a secret", "b": Encrypted("inline-2")}
    vaulted.look_at_loader(loader)
    assert found == ["inline-2"]
    loader._FILE_CACHE[str(whole)] = {"list": ["whole-secret", 1234567, 12, True]}
    vaulted.look_at_loader(loader)
    vaulted.look_at_loader(loader)
    assert found == ["inline-2", "whole-secret", "1234567"]


def test_no_field_of_a_line_holds_a_learned_secret():
    class Lines(list):
        write = list.append

    redactor, lines = Redactor(), Lines()
    redactor.learn("hunter2-hunter2")
    who = Identity("01", "u", 0, "h", 1, 1, "/srv/hunter2-hunter2", "ansible-playbook hunter2-hunter2.yml")
    recorder = Recorder(who, "/srv/hunter2-hunter2.yml", lines, redactor=redactor)
    recorder.record("TASK_RESULT", {"task": "with hunter2-hunter2", "deep": [{"x": "hunter2-hunter2"}]})
    recorder.record("TASK_RESULT", {"result": {"big": "hunter2-hunter2 " * 4000}})
    assert len(lines) == 2
    assert b"hunter2" not in b"".join(lines)
    assert json.loads(lines[0])["details"] == {"task": "with ***", "deep": [{"x": "***"}]}
