# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``toolkit audit verify``, ``prove``, ``check-proof``, ``key`` and ``export --format tlog-tiles``."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from ansible_collections.scripts.toolkit.cli import main
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store.log import Log


def append(directory: Path, *lines: bytes) -> None:
    with Log.wait(str(directory)) as log:
        log.append(b"".join(line + b"\n" for line in lines))


def event(run_id: str, number: int = 0) -> bytes:
    record = {"details": {"n": number}, "event_type": "TASK_RESULT", "run_id": run_id, "timestamp": "2026-01-02T03:04Z"}
    return json.dumps(record, sort_keys=True, separators=(",", ":")).encode()


class Toolkit:
    """The command, its trail and its home in a directory."""

    def __init__(self, base: Path, capsys: pytest.CaptureFixture) -> None:
        self.base = base
        self.log = base / "audit"
        self._capsys = capsys

    def __call__(self, *arguments: object, rc: int = 0) -> str:
        """Run ``toolkit audit ARGUMENTS`` and return what it printed, standard error last."""
        self._capsys.readouterr()
        code = main(["audit", *map(str, arguments), "--log-directory", str(self.log)])
        out, err = self._capsys.readouterr()
        assert code == rc, out + err
        return out + err

    def data(self, *arguments: object, rc: int = 0):
        return json.loads(self(*arguments, "--json", rc=rc))

    def verify(self, *arguments: object, rc: int = 0) -> dict:
        return self.data("verify", "--no-witness", *arguments, rc=rc)


@pytest.fixture
def toolkit(tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Toolkit:
    monkeypatch.setattr(
        "ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof.remembered.base_directory",
        lambda purpose: str(tmp_path / purpose),
    )
    toolkit = Toolkit(tmp_path, capsys)
    append(toolkit.log, *(event("run-a", number) for number in range(3)), event("run-b"))
    return toolkit


def test_verify_says_what_it_proves(toolkit: Toolkit) -> None:
    text = toolkit("verify", "--no-witness")
    assert "Entries    5\n" in text
    assert "Result     whole\n" in text
    assert "Only accidental change is ruled out" in text
    append(toolkit.log, event("run-c"))
    text = toolkit("verify", "--no-witness")
    assert "remembered here" in text
    assert "The newest is that of 5 entries." in text
    assert len(list((toolkit.base / "state" / "audit-memory").iterdir())) == 1
    assert "Only accidental" in toolkit("verify", "--no-witness", "--no-memory")
    assert json.loads((toolkit.log / "verification.json").read_text())["ok"] is True


def test_verify_fails_and_names_the_place(toolkit: Toolkit) -> None:
    active = toolkit.log / "audit.jsonl"
    active.write_bytes(active.read_bytes().replace(b'"n":2', b'"n":7'))
    text = toolkit("verify", "--no-witness", rc=1)
    assert "Result     WRONG, 1 findings" in text
    assert "entry 3  In audit.jsonl: entry 3 was changed." in text
    assert "The log is not what was signed" in text
    found = toolkit.verify("--hash-only", "--processes", 1, rc=1)
    assert (found["ok"], [finding["index"] for finding in found["findings"]]) == (False, [3])
    state = json.loads((toolkit.log / "verification.json").read_text())
    assert (state["ok"], state["entries"]) == (False, 5)


def test_verify_takes_a_memory_keys_and_witnesses(toolkit: Toolkit) -> None:
    memory, witness = toolkit.base / "elsewhere" / "memory.json", toolkit.base / "witness"
    keys = toolkit.base / "auditor.vkeys"
    keys.write_bytes((toolkit.log / "keys" / "trusted.vkeys").read_bytes())
    witness.mkdir()
    (witness / "checkpoint").write_bytes((toolkit.log / "checkpoint").read_bytes())
    append(toolkit.log, event("run-c"))
    options = ("--memory", memory, "--trusted-keys", keys, "--witness", witness)
    found = toolkit.data("verify", *options)
    assert (found["ok"], found["witnessed"], found["remembered"]) == (True, [5], [])
    assert toolkit.data("verify", *options)["remembered"] == [6]
    assert "the checkpoints of the witness" in toolkit("verify", *options)
    assert toolkit.data("verify", "--witness", f"directory:{witness}", rc=1)["findings"][0]["where"] == "the witness"
    keys.write_text("example.com+00000000+AA==\n")
    assert "is no verifier key" in toolkit("verify", *options, rc=1)
    assert "There is no" in toolkit("verify", "--trusted-keys", toolkit.base / "nowhere", rc=1)
    assert "is no witness" in toolkit("verify", "--witness", toolkit.base / "nowhere", rc=1)


def test_witnesses_of_the_last_run_are_asked(toolkit: Toolkit) -> None:
    witness = toolkit.base / "witness"
    witness.mkdir()
    (toolkit.log / "settings.json").write_text(json.dumps({"witnesses": [f"directory:{witness}"]}))
    toolkit("witness", "push")
    assert toolkit.data("verify")["witnessed"] == [5]
    witness.rename(toolkit.base / "unmounted")
    found = toolkit.data("verify", "--no-memory")
    assert (found["ok"], found["witnessed"]) == (True, [])
    assert "could not be asked" in found["notes"][0]


def test_an_entry_and_a_run_are_proved(toolkit: Toolkit, monkeypatch: pytest.MonkeyPatch) -> None:
    vkey = toolkit.data("key", "list")[0]["vkey"]
    proof, run = toolkit.base / "one.tlog-proof", toolkit.base / "run.tlog-proof"
    proof.write_text(toolkit("prove", 1), encoding="utf-8")
    toolkit("prove", "run-a", "--output", run)
    assert toolkit.data("prove", "run-a", "--output", f"{toolkit.base}/many/")["proofs"] == 3
    assert sorted(path.name for path in (toolkit.base / "many").iterdir()) == [f"{at}.tlog-proof" for at in (1, 2, 3)]
    assert "1 proofs hold with the keys of" in toolkit("check-proof", proof)
    toolkit.log.rename(toolkit.base / "gone")
    told = toolkit.data("check-proof", "--key", vkey, proof, run, toolkit.base / "many" / "2.tlog-proof")
    assert [row["index"] for row in told["proven"]] == [1, 1, 2, 3, 2]
    assert {row["run_id"] for row in told["proven"]} == {"run-a"}
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(proof.read_bytes())))
    assert "1 proofs hold with the keys of --key." in toolkit("check-proof", "--key", vkey, "-")
    assert "No key is trusted here" in toolkit("check-proof", proof, rc=1)
    entry = toolkit.base / "entry"
    entry.write_bytes(event("run-a", 2) + b"\n")
    assert "does not show" in toolkit("check-proof", "--key", vkey, "--entry", entry, proof, rc=1)


def test_what_is_not_there_is_said(toolkit: Toolkit) -> None:
    assert "The log has no run run-z." in toolkit("prove", "run-z", rc=1)
    assert "The log has no entry 99." in toolkit("prove", 99, rc=1)
    assert "nowhere" in toolkit("check-proof", toolkit.base / "nowhere", rc=1)
    assert "is no key" in toolkit("check-proof", "--key", "x", toolkit.base / "nowhere", rc=1).replace("verifier ", "")
    toolkit.log = toolkit.base / "nothing"
    for command in (("verify",), ("prove", 1), ("key", "list"), ("export", "--format", "tlog-tiles", "--output", "x")):
        assert "There is no audit trail in" in toolkit(*command, rc=1)


def test_keys_are_rotated_and_retired(toolkit: Toolkit) -> None:
    first = toolkit.data("key", "list")[0]["id"]
    assert "only active one" in toolkit("key", "retire", first, rc=1)
    toolkit("key", "rotate")
    assert [row["state"] for row in toolkit.data("key", "list")] == ["active", "active"]
    assert len(toolkit.verify()["signed_by"]) == 2
    toolkit("key", "retire", first)
    assert [row["state"] for row in toolkit.data("key", "list")] == ["retired", "active"]
    assert not (toolkit.log / "keys" / f"{first}.key").exists()
    append(toolkit.log, event("run-c"))
    found = toolkit.verify()
    assert (found["ok"], len(found["signed_by"]), found["types"]["KEY_RETIRED"]) == (True, 1, 1)
    assert "retire needs the ID" in toolkit("key", "retire", rc=2)
    assert "retire needs the ID" in toolkit("key", "list", first, rc=2)


def test_the_log_is_exported_as_tiles(toolkit: Toolkit) -> None:
    target = toolkit.base / "export"
    assert toolkit.data("export", "--format", "tlog-tiles", "--output", target)["size"] == 5
    assert (target / "tile/entries/000.p/5").exists()
    assert "5 entries of" in toolkit("export", "--format", "tlog-tiles", "--output", target)
