# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Witnesses that take checkpoints, and those that are slow, dead, lying or of another opinion."""

from __future__ import annotations

import json
import os
import socket
import stat
import struct

import pytest
from delivery_lab import ORIGIN, Log, Rough, Witness, answering, certificate, consistent, http

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.metrics.targets import parse_witness
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof.checkpoint import parse
from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import (
    IntegrityError,
    TimeoutExpired,
    ToolkitError,
    UnavailableError,
)
from ansible_collections.scripts.toolkit.plugins.module_utils._core.signed_note import Signer, Verifier, open_note
from ansible_collections.scripts.toolkit.plugins.plugin_utils._audit.witnesses import (
    announce,
    newest_checkpoint,
    push,
    read_back,
    witnessed,
)


@pytest.fixture
def log(tmp_path):
    (tmp_path / "log").mkdir()
    return Log(tmp_path / "log")


@pytest.fixture
def witness(log, tmp_path):
    with Witness(tmp_path / "witness.state", log.signer.verifier.vkey) as server:
        yield server


def hand(log, text, known=0):
    return push(str(log.directory), parse_witness(text), newest_checkpoint(str(log.directory)), known)


def state(log, name):
    return json.loads((log.directory / "witness" / f"{name}.json").read_text())


def readings(log, *texts):
    return read_back(str(log.directory), {"witnesses": texts})


def test_a_witness_follows_the_growing_log_and_its_cosignature_is_kept(log, witness):
    known = 0
    for count in (1, 1, 5, 256, 300, 1, 700):
        note = log.grow(count)
        held = hand(log, witness.target, known)
        assert held["size"] == witness.held()["size"] == log.size
        known = log.size
    assert len(witness.requests) == 7
    [reading] = readings(log, witness.target)
    assert (reading.error, reading.size) == (None, log.size)
    [kept] = reading.notes
    assert kept.startswith(note)
    opened = open_note(kept, [log.signer.verifier, Verifier.from_vkey(witness.vkey)])
    assert len(opened.verified) == 2
    assert opened.verified[1].time == held["cosigned"]
    assert parse(kept, [log.signer.verifier]).size == log.size
    [path] = (log.directory / "witness").glob("*.note")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_witness_that_knows_more_or_less_than_we_think_says_so_and_is_caught_up(log, witness):
    log.grow(10)
    hand(log, witness.target)
    log.grow(10)
    hand(log, witness.target, known=0)  # our state is lost: 409 tells where it is
    assert [body.split(b"\n")[0] for _path, body, _headers in witness.requests] == [b"old 0", b"old 0", b"old 10"]
    witness.path.unlink()  # its state is lost
    log.grow(10)
    hand(log, witness.target, known=20)
    assert witness.held()["size"] == 30


def test_the_same_checkpoint_can_be_handed_over_again(log, witness):
    log.grow(3)
    hand(log, witness.target)
    assert hand(log, witness.target, known=3)["size"] == 3


def test_a_log_that_was_cut_is_told(log, witness, tmp_path):
    log.grow(20)
    hand(log, witness.target)
    (tmp_path / "other").mkdir()
    short = Log(tmp_path / "other", log.signer)
    short.grow(12)
    with pytest.raises(IntegrityError, match="cosigned 20 entries, but this log has only 12"):
        hand(short, witness.target, known=0)
    [reading] = readings(short, witness.target)
    assert reading.size == 20


@pytest.mark.parametrize("size", [20, 33])
def test_a_log_that_was_changed_is_told(log, witness, tmp_path, size):
    log.grow(20)
    hand(log, witness.target)
    (tmp_path / "other").mkdir()
    changed = Log(tmp_path / "other", log.signer)
    changed.grow(size, word="other entry")
    with pytest.raises(IntegrityError, match="cosigned 20 entries with which this log does not begin"):
        hand(changed, witness.target, known=20)
    assert witness.held()["size"] == 20


def test_reading_back_asks_the_witness_even_when_our_notes_are_gone(log, witness):
    log.grow(5)
    hand(log, witness.target)
    for path in (log.directory / "witness").glob("*.note"):
        path.unlink()
    [reading] = readings(log, witness.target)
    assert (reading.notes, reading.size, reading.error) == ([], 5, None)


def test_a_kept_cosignature_that_was_changed_is_told(log, witness):
    log.grow(5)
    hand(log, witness.target)
    [path] = (log.directory / "witness").glob("*.note")
    path.write_bytes(path.read_bytes().replace(b"\n5\n", b"\n4\n"))
    [reading] = readings(log, witness.target)
    assert isinstance(reading.error, IntegrityError)
    assert reading.notes == []


def flipped(line):
    data = bytearray(line)
    data[-20] = ord("A") if data[-20] != ord("A") else ord("B")
    return bytes(data)


@pytest.mark.parametrize(
    "lie",
    [
        flipped,
        lambda line: b"",
        lambda line: line[:-9] + b"\n",
        lambda line: line.replace(b"witness.example.com/w1", b"witness.example.com/w2"),
        lambda line: b"<html>fine</html>\n",
        lambda line: b"\xff\xfe\n",
        lambda line: line + line,
        lambda line: line * 2000,
    ],
    ids=["flipped", "empty", "short", "renamed", "html", "binary", "doubled", "huge"],
)
def test_a_cosignature_that_is_none_is_not_kept(log, witness, lie):
    log.grow(4)
    witness.lie = lie
    with pytest.raises((IntegrityError, UnavailableError)):
        hand(log, witness.target)
    assert not list((log.directory / "witness").glob("*.note"))


def test_lines_of_other_keys_beside_the_pinned_one_are_left_out(log, witness):
    log.grow(4)
    other = Signer.generate("another.example.com/w")
    witness.lie = lambda line: "\u2014 another.example.com/w AAAAAAAAAAAA\n".encode() + line
    hand(log, witness.target)
    [reading] = readings(log, witness.target)
    assert b"another" not in reading.notes[0]
    assert other.verifier.name.encode() not in reading.notes[0]


def test_another_key_under_the_pinned_name_is_not_trusted(log, witness, tmp_path):
    log.grow(4)
    with Witness(tmp_path / "impostor.state", log.signer.verifier.vkey, port=0) as impostor:
        target = witness.target.replace(f":{witness.port}/", f":{impostor.port}/")
        with pytest.raises(IntegrityError, match="No trusted key"):
            hand(log, target)


def test_what_the_operator_has_to_do_is_said(log, tmp_path):
    log.grow(4)
    with Witness(tmp_path / "a.state", log.signer.verifier.vkey, log=False) as stranger:
        with pytest.raises(UnavailableError) as caught:
            hand(log, stranger.target)
        assert "origin" in caught.value.hint
        assert "404" in caught.value.message
    with Witness(tmp_path / "b.state", Signer.generate(ORIGIN).verifier.vkey) as other:
        with pytest.raises(UnavailableError) as caught:
            hand(log, other.target)
        assert "verifier key" in caught.value.hint


def test_a_witness_that_never_agrees_on_a_size_is_asked_three_times(log, witness):
    log.grow(40)
    sizes = iter((5, 7, 9, 11, 13))
    answers = [http(409, b"%d\n" % size, Content_Type="text/x.tlog.size") for size in sizes]
    with Rough(answering(*answers)) as server:
        target = witness.target.replace(f":{witness.port}/", f":{server.port}/")
        with pytest.raises(UnavailableError, match="409"):
            hand(log, target)
        assert server.connections == 3


def test_a_slow_witness_is_left_after_its_time(log, witness):
    log.grow(4)
    witness.delay = 30
    with pytest.raises(TimeoutExpired):
        hand(log, witness.target.replace("#", "?timeout=0.2#"))


def test_a_witness_with_a_certificate_of_ones_own_authority(log, tmp_path):
    context = certificate(tmp_path)
    with Witness(tmp_path / "tls.state", log.signer.verifier.vkey, context=context) as secure:
        log.grow(4)
        target = secure.target.replace("127.0.0.1", "localhost")
        assert target.startswith("https://")
        with pytest.raises(UnavailableError, match="certificate is not trusted"):
            hand(log, target)
        assert hand(log, target.replace("#", f"?ca_file={tmp_path}/cert.pem#"))["size"] == 4
        assert len(secure.requests) == 1


def test_a_log_that_grew_meanwhile_is_not_taken_for_one_that_was_cut(log, witness):
    log.grow(3)
    old = newest_checkpoint(str(log.directory))
    log.grow(3)
    hand(log, witness.target)  # somebody was faster
    held = push(str(log.directory), parse_witness(witness.target), old, 0)
    assert held["size"] == witness.held()["size"] == 6


def test_tiles_that_are_gone_are_told(log, witness):
    log.grow(3)
    hand(log, witness.target)
    log.grow(3)
    for path in (log.directory / "tile").rglob("*"):
        if path.is_file():
            path.unlink()
    with pytest.raises(IntegrityError, match="missing"):
        push(str(log.directory), parse_witness(witness.target), newest_checkpoint(str(log.directory)), 3)


def test_the_independent_check_of_proofs_can_fail():
    leaf = b"x" * 32
    assert consistent(1, 1, leaf, leaf, [])
    assert not consistent(1, 2, leaf, leaf, [leaf])


@pytest.fixture
def journal(tmp_path):
    """A socket like systemd's, in a short path (108 bytes are the most)."""
    path = f"/tmp/{os.getpid()}.{tmp_path.name[-12:]}.journal"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(path)
        receiver.settimeout(5)
        yield path, receiver
    os.unlink(path)


def fields_of(datagram):
    """Decode the native protocol: NAME=value lines, or NAME, length and bytes."""
    fields = {}
    while datagram:
        line, _newline, rest = datagram.partition(b"\n")
        if b"=" in line:
            name, _equals, value = line.partition(b"=")
            datagram = rest
        else:
            name, length = line, struct.unpack("<Q", rest[:8])[0]
            value, datagram = rest[8 : 8 + length], rest[8 + length :]
            assert datagram[:1] == b"\n"
            datagram = datagram[1:]
        fields[name.decode("ascii")] = value
    return fields


def test_the_journal_is_told_once_in_one_datagram(log, journal):
    path, receiver = journal
    log.settings(witnesses=[f"journal:{path}"])
    note = log.grow(7)
    announce(str(log.directory))
    announce(str(log.directory))
    fields = fields_of(receiver.recv(65536))
    assert fields["SCRIPTS_TOOLKIT_CHECKPOINT"] == note
    assert fields["SCRIPTS_TOOLKIT_SIZE"] == b"7"
    assert fields["SCRIPTS_TOOLKIT_ORIGIN"] == ORIGIN.encode()
    assert fields["MESSAGE"].endswith(b": 7 entries")
    assert len(fields["MESSAGE_ID"]) == 32
    receiver.setblocking(False)
    with pytest.raises(BlockingIOError):
        receiver.recv(65536)
    [name] = [entry.name for entry in (log.directory / "witness").glob("*.json")]
    assert state(log, name[:-5])["witnessed"]["size"] == 7
    log.grow(1)
    announce(str(log.directory))
    assert fields_of(receiver.recv(65536))["SCRIPTS_TOOLKIT_SIZE"] == b"8"


def test_a_full_journal_holds_up_nobody_and_is_caught_up(log, journal):
    path, receiver = journal
    log.settings(witnesses=[f"journal:{path}"])
    sent = 0
    for _number in range(5000):
        log_size = log.size
        log.grow(1)
        announce(str(log.directory))
        [file] = (log.directory / "witness").glob("*.json")
        found = json.loads(file.read_text())
        if found["error"]:
            break
        sent += 1
    assert found["error"]["kind"] == "unavailable"
    assert found["witnessed"]["size"] == sent == log_size
    assert found["pending"]["size"] == log.size
    for _number in range(sent):
        receiver.recv(65536)
    announce(str(log.directory))
    assert fields_of(receiver.recv(65536))["SCRIPTS_TOOLKIT_SIZE"] == str(log.size).encode()
    found = json.loads(file.read_text())
    assert (found["error"], found["pending"], found["failures"]) == (None, None, 0)


def test_without_a_journal_a_run_notices_nothing(log, tmp_path):
    log.settings(witnesses=[f"journal:{tmp_path}/none"])
    announce(str(log.directory))  # no checkpoint yet
    assert not (log.directory / "witness").exists()
    log.grow(1)
    announce(str(log.directory))
    [file] = (log.directory / "witness").glob("*.json")
    found = json.loads(file.read_text())
    assert "There is no journal" in found["error"]["message"]
    since = found["pending"]["since"]
    log.grow(1)
    announce(str(log.directory))
    found = json.loads(file.read_text())
    assert found["pending"] == {"size": 2, "since": since}
    (log.directory / "checkpoint").write_bytes(b"nonsense")
    announce(str(log.directory))
    announce(str(tmp_path / "nowhere"))


def test_a_directory_keeps_every_checkpoint_that_it_got(log, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    notes = []
    for _number in range(3):
        notes.append(log.grow(2))
        hand(log, f"directory:{other}")
    [newest] = other.glob("*.checkpoint")
    [history] = other.glob("*.checkpoints")
    assert newest.read_bytes() == notes[-1]
    assert [json.loads(line)["note"].encode() for line in history.read_text().splitlines()] == notes
    assert witnessed(str(log.directory), {"witnesses": [f"directory:{other}"]}) == notes
    with history.open("ab") as handle:
        handle.write(b'{"note": "torn')
    notes.append(log.grow(2))
    hand(log, f"directory:{other}")
    assert witnessed(str(log.directory), {"witnesses": [f"directory:{other}"]}) == notes


def test_two_logs_share_a_directory(log, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    log.grow(1)
    hand(log, f"directory:{other}")
    (other / "else-00000000.checkpoint").write_bytes(b"another's")
    (other / "else-00000000.checkpoints").write_bytes(b"{}\n")
    assert len(witnessed(str(log.directory), {"witnesses": [f"directory:{other}"]})) == 1


def test_a_directory_that_is_not_mounted_is_not_made(log, tmp_path):
    log.grow(1)
    with pytest.raises(UnavailableError, match="can't be used"):
        hand(log, f"directory:{tmp_path}/mnt")
    assert not (tmp_path / "mnt").exists()
    [reading] = readings(log, f"directory:{tmp_path}/mnt")
    assert isinstance(reading.error, ToolkitError)


def test_a_link_in_the_directory_is_not_followed(log, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    log.grow(1)
    hand(log, f"directory:{other}")
    [history] = other.glob("*.checkpoints")
    history.unlink()
    history.symlink_to(tmp_path / "victim")
    with pytest.raises(UnavailableError):
        hand(log, f"directory:{other}")
    assert not (tmp_path / "victim").exists()


def test_reading_back_tells_of_each_witness_whatever_the_others_do(log, witness, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    log.grow(2)
    hand(log, f"directory:{other}")
    hand(log, witness.target)
    with Rough(answering(http(500))) as broken:
        target = witness.target.replace(f":{witness.port}/", f":{broken.port}/")
        found = readings(log, f"directory:{tmp_path}/none", target, f"directory:{other}", witness.target)
    assert [bool(reading.error) for reading in found] == [True, True, False, False]
    assert [len(reading.notes) for reading in found] == [0, 0, 1, 1]
