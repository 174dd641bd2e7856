# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From options to wishes, with the real loader and template engine of ansible-core."""

from __future__ import annotations

import json
import os

import pytest
from ansible.errors import AnsibleFileNotFound
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import NotFoundError, ValidationError
from ansible_collections.scripts.toolkit.plugins.module_utils._files.spec import file_tree_spec
from ansible_collections.scripts.toolkit.plugins.plugin_utils._files.merge import merge_wishes
from ansible_collections.scripts.toolkit.plugins.plugin_utils._files.session import Session
from ansible_collections.scripts.toolkit.plugins.plugin_utils._files.sources import Sources
from ansible_collections.scripts.toolkit.plugins.plugin_utils._files.wishes import read_sets, read_wishes


class Play:
    """What :class:`Sources` borrows from an action plugin, for a play in ``base``."""

    def __init__(self, base) -> None:
        self.base = base
        self._loader = DataLoader()
        self._loader.set_basedir(str(base))
        self._templar = Templar(self._loader, {})

    def _find_needle(self, place: str, name: str) -> str:
        for path in (name, self.base / place / name, self.base / name):
            if os.path.isabs(path) and os.path.exists(path):
                return str(path)
        raise AnsibleFileNotFound(file_name=name)


@pytest.fixture
def play(tmp_path):
    """``play(options, **variables)`` returns the wishes by path."""
    for name in ("files", "templates"):
        (tmp_path / name).mkdir()

    def read(options: dict, **variables) -> dict:
        checked = ArgumentSpecValidator(file_tree_spec()).validate(options)
        assert checked.error_messages == []
        sources = Sources(Play(tmp_path), {"inventory_hostname": "web01", **variables})
        wishes = merge_wishes(read_wishes(checked.validated_parameters, sources))
        read_sets(checked.validated_parameters, wishes)
        return {wish.wanted.dest: wish for wish in wishes}

    read.base = tmp_path
    return read


def text(wish) -> str:
    return wish.content.read().decode()


def put(base, name: str, content: str = "") -> None:
    path = base / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def test_content_is_written_as_it_is_and_structures_as_json(play):
    values = {"/a": "ä\n", "/b": "", "/c": {"x": [1]}, "/d": 5}
    wishes = play({"files": [{"dest": dest, "content": value} for dest, value in values.items()]})
    assert [text(wishes[dest]) for dest in values] == ["ä\n", "", json.dumps({"x": [1]}), "5"]


def test_templates_are_rendered_like_those_of_ansible(play):
    put(
        play.base,
        "templates/a.j2",
        "# {{ ansible_managed }}\n{% for x in list %}\n{{ x }}-{{ own }}\\n\n{% endfor %}\n"
        "{% if true %}\n  in\n{% endif %}\n\n",
    )
    wishes = play({"files": [{"dest": "/a", "src": "a.j2", "vars": {"own": "mine"}}]}, list=[1, 2], own="task's")
    assert text(wishes["/a"]).splitlines()[1:] == ["1-mine\\n", "2-mine\\n", "  in", ""]
    assert text(wishes["/a"]).endswith("  in\n\n")


def test_variables_of_an_item_are_not_templated_again(play):
    put(play.base, "templates/a.j2", "{{ own }}\n")
    wishes = play({"files": [{"dest": "/a", "src": "a.j2", "vars": {"own": "{{ secret }}"}}]}, secret="no")
    assert text(wishes["/a"]) == "{{ secret }}\n"


def test_includes_are_found_beside_each_template_also_with_the_same_name(play):
    for tree in ("one", "two"):
        put(play.base, f"templates/{tree}/main.j2", '{% include "part.j2" %}\n')
        put(play.base, f"templates/{tree}/part.j2", tree)
    wishes = play({"files": [{"dest": f"/{tree}", "src": f"{tree}/main.j2"} for tree in ("one", "two")]})
    assert [text(wishes[f"/{tree}"]) for tree in ("one", "two")] == ["one\n", "two\n"]


def test_template_true_and_false_override_the_suffix(play):
    put(play.base, "templates/plain", "{{ x }}")
    put(play.base, "files/kept.j2", "{{ x }}")
    wishes = play(
        {
            "files": [
                {"dest": "/a", "src": "plain", "template": True},
                {"dest": "/b", "src": "kept.j2", "template": False},
            ]
        },
        x=1,
    )
    assert (text(wishes["/a"]), text(wishes["/b"])) == ("1", "{{ x }}")


@pytest.mark.parametrize(
    ("template", "line", "words"),
    [
        ("a\nb\n{{ missing.name }}\n", 3, "'missing' is undefined"),
        ("a\n{% if x %}\n{{ y }\n", 3, "syntax error"),
        ("a\n{{ 'word' | int(1, 2, 3) }}\n", 2, "int"),
        ("a\n\n{% for i in missing %}\n{{ i }}\n{% endfor %}\n", 3, "'missing' is undefined"),
    ],
)
def test_a_template_error_names_template_line_dest_and_host(play, template, line, words):
    put(play.base, "templates/bad.j2", template)
    with pytest.raises(ValidationError) as caught:
        play({"files": [{"dest": "/etc/bad", "src": "bad.j2"}]})
    message = caught.value.message
    assert f"templates/bad.j2, line {line}: " in message
    assert words in message
    assert "(for /etc/bad on web01)" in message


def test_an_error_in_a_sensitive_template_quotes_no_value(play):
    put(play.base, "templates/bad.j2", "{{ secret | from_json }}\n")
    with pytest.raises(ValidationError) as caught:
        play({"files": [{"dest": "/a", "src": "bad.j2", "sensitive": True}]}, secret="hunter2{")
    assert "hunter2" not in caught.value.message


def test_a_tree_is_walked_templates_lose_their_suffix_and_links_stay(play):
    put(play.base, "templates/site/a.conf.j2", "{{ x }}\n")
    put(play.base, "templates/site/deep/er/b.bin", "{{ x }}\n")
    put(play.base, "templates/site/README.md", "no")
    put(play.base, "templates/site/deep/secret.txt", "no")
    os.symlink("../a.conf.j2", play.base / "templates/site/deep/link")
    os.symlink("/etc/hosts", play.base / "templates/site/absolute")
    os.symlink("nowhere.j2", play.base / "templates/site/dangling")
    tree = {
        "src": "site",
        "dest": "/t/",
        "exclude": ["*.md", "deep/secret.txt"],
        "mode": "0640",
        "directory_mode": "0750",
    }
    wishes = play({"trees": [tree]}, x="1")
    assert {dest: (wish.wanted.state, wish.wanted.mode, wish.wanted.target) for dest, wish in wishes.items()} == {
        "/t": ("directory", 0o750, None),
        "/t/a.conf": ("file", 0o640, None),
        "/t/absolute": ("link", None, "/etc/hosts"),
        "/t/dangling": ("link", None, "nowhere.j2"),
        "/t/deep": ("directory", 0o750, None),
        "/t/deep/er": ("directory", 0o750, None),
        "/t/deep/er/b.bin": ("file", 0o640, None),
        "/t/deep/link": ("link", None, "../a.conf"),
    }
    assert text(wishes["/t/a.conf"]) == "1\n"
    assert text(wishes["/t/deep/er/b.bin"]) == "{{ x }}\n"


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"dest": "relative", "content": ""}, "not an absolute path"),
        ({"dest": "~/x", "content": ""}, "not an absolute path"),
        ({"dest": "/a/../b", "content": ""}, "plain path"),
        ({"dest": "/", "state": "directory"}, "root of the file system"),
        ({"dest": "/a/", "content": ""}, "full path"),
        ({"dest": "/a"}, "exactly one of content and src"),
        ({"dest": "/a", "content": "", "src": "x"}, "exactly one of content and src"),
        ({"dest": "/a", "state": "link"}, "target of the link"),
        ({"dest": "/a", "state": "link", "src": "b", "mode": "0644"}, "no mode"),
        ({"dest": "/a", "state": "absent", "content": ""}, "neither content nor src"),
        ({"dest": "/a", "content": "", "mode": 420}, "file mode"),
        ({"dest": "/a", "content": "", "mode": "u=rw"}, "file mode"),
        ({"dest": "/a", "content": "", "validate": ["true"]}, "%s"),
        ({"dest": "/a", "content": "", "notify": {"nginx.service": "stop"}}, "neither reload nor restart"),
        ({"dest": "/a", "content": "", "notify": {"nginx": "reload"}}, "unit name"),
        ({"dest": "/a", "content": "", "set": "typo"}, "no set typo"),
    ],
)
def test_bad_options_are_refused_and_named(play, entry, words):
    with pytest.raises(ValidationError, match=words) as caught:
        play({"files": [entry]})
    assert "files[0]" in caught.value.message


def test_a_missing_source_is_named(play):
    with pytest.raises(NotFoundError, match=r"files\[0\]\.src: there is no file nope\.j2"):
        play({"files": [{"dest": "/a", "src": "nope.j2"}]})
    with pytest.raises(NotFoundError, match=r"trees\[0\]\.src: there is no directory nope"):
        play({"trees": [{"dest": "/a", "src": "nope"}]})


def test_sets_of_the_same_name_are_joined():
    options = {
        "sets": [
            {"name": "s", "validate": [], "notify": {"x.service": "reload"}, "purge": ["/a/b"]},
            {"name": "s", "validate": ["true"], "notify": {"x.service": "restart"}, "purge": ["/a/b", "/a/c"]},
        ]
    }
    (plan,) = read_sets(options, [])
    assert (plan.validate, plan.notify, plan.purge) == (["true"], {"x.service": "restart"}, ["/a/b", "/a/c"])
    options["sets"].append({"name": "s", "validate": ["false"], "notify": {}, "purge": []})
    with pytest.raises(ValidationError, match="twice"):
        read_sets(options, [])


def finding(dest: str, operation: str | None, before: dict, **more) -> dict:
    wanted = {"dest": dest, "state": "file", "set": None}
    return {"wanted": wanted, "origin": "wanted", "before": before, "operation": operation, **more}


def session_of(play, options: dict, findings: list[dict]) -> dict:
    session = Session(list(play(options).values()), [], True, 1000)
    session.compared({"findings": findings, "set_errors": {}, "recovered": []})
    return session.result()


def test_a_secret_and_its_checksums_are_not_in_the_result(play):
    old = {"kind": "file", "checksum": "0" * 64, "mode": 0o600, "owner": "root", "group": "root", "size": 7}
    found = finding("/s", "modify", old, content=True, mode=0o600, owner="root", group="root")
    result = session_of(play, {"files": [{"dest": "/s", "content": "hunter2", "sensitive": True}]}, [found])
    shown = json.dumps(result)
    assert "hunter2" not in shown
    assert "0" * 64 not in shown
    assert result["diff"][0]["after"] == "(sensitive, changed, not shown)\n"
    assert (result["changed"], result["outcomes"][0]["checksum_after"]) == (True, None)


def test_of_a_sensitive_tree_the_files_are_kept_from_validators(play):
    """Its directories have no content that could be read to be hidden."""
    put(play.base, "files/secrets/key", "hunter2\n")
    tree = {"dest": "/t", "src": "secrets", "sensitive": True, "set": "s"}
    wishes = play({"trees": [tree], "sets": [{"name": "s", "validate": ["true"]}]})
    session = Session(list(wishes.values()), [], True, 1000)
    session.compared({"findings": [], "set_errors": {}, "recovered": []})
    secret = session.apply_request({})["sensitive"]
    assert secret == [dest for dest, wish in wishes.items() if wish.wanted.state == "file"] != []
    assert "/t" in wishes


def test_a_diff_shows_text_and_says_binary(play):
    old = {"kind": "file", "checksum": "0" * 64, "mode": 0o644, "owner": "root", "group": "root", "size": 4}
    new = {"mode": 0o600, "owner": "root", "group": "root"}
    options = {"files": [{"dest": "/t", "content": "new\n"}, {"dest": "/b", "content": "n\0w"}]}
    found = [
        finding("/t", "modify", {**old, "text": "old\n"}, **new),
        finding("/b", "create", {"kind": "absent"}, **new),
    ]
    text_entry, attributes, binary = session_of(play, options, found)["diff"]
    assert (text_entry["before"], text_entry["after"]) == ("old\n", "new\n")
    assert (attributes["before"], attributes["after"]) == ("mode: 0644\n", "mode: 0600\n")
    assert binary["after"].startswith("(binary or big, 3 bytes")


def test_only_one_content_is_sent_for_files_that_are_the_same(play):
    options = {"files": [{"dest": f"/{name}", "content": "same"} for name in "abc"]}
    session = Session(list(play(options).values()), [], True, 0)
    found = [finding(f"/{name}", "create", {"kind": "absent"}, content=name != "c") for name in "abc"]
    session.compared({"findings": found, "set_errors": {}, "recovered": []})
    assert len(session.contents_to_send()) == 1


def test_a_member_that_cannot_be_changed_keeps_the_whole_set_from_being_applied(play):
    options = {"files": [{"dest": f"/{name}", "content": name, "set": "s"} for name in "ab"], "sets": [{"name": "s"}]}
    wishes = list(play(options).values())
    session = Session(wishes, read_sets({"sets": []}, []), True, 0)
    error = {"kind": "conflict", "message": "in the way", "hint": None, "item": "/b"}
    found = [
        finding("/a", "create", {"kind": "absent"}, content=True),
        finding("/b", None, {"kind": "directory"}, error=error),
    ]
    for entry in found:
        entry["wanted"]["set"] = "s"
    session.compared({"findings": found, "set_errors": {}, "recovered": []})
    assert session.work == []
    result = session.result()
    assert (result["failed"], result["changed"], result["error"]["kind"]) == (True, False, "conflict")
