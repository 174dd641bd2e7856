# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``toolkit audit verify``, ``prove``, ``check-proof`` and ``key``, and the export in the layout of tlog-tiles."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor

from ...plugins.module_utils._audit.metrics.figures import VERIFICATION_NAME
from ...plugins.module_utils._audit.proof.bundle import Proof, check, entries_at, entries_of, parse_proofs, prove
from ...plugins.module_utils._audit.proof.export_tiles import export_tiles
from ...plugins.module_utils._audit.proof.keys import KEY_DIRECTORY, TRUSTED_NAME, Keyring, read_vkeys
from ...plugins.module_utils._audit.proof.remembered import Kept, Memory, default_memory, witnessed
from ...plugins.module_utils._audit.proof.verdict import Finding, Report
from ...plugins.module_utils._audit.proof.verify import verify
from ...plugins.module_utils._audit.search.render import clean, table
from ...plugins.module_utils._audit.store.log import Log
from ...plugins.module_utils._core.errors import NotFoundError, ToolkitError, ValidationError
from ...plugins.module_utils._core.files import read_bytes, write_atomic
from ...plugins.module_utils._core.signed_note import Verifier
from ...plugins.plugin_utils._audit.witnesses import read_back
from ..output import ProgressBar, print_json, progress, terminal_width
from . import log_directory

__all__ = ["register", "run_export"]

_VERIFY = """\
Verify the whole log: every entry, segment, tile and signature, the keys, what was erased or pruned. Says which entry,
segment, tile or checkpoint is wrong, and what finding nothing proves. Nothing is locked and runs go on.

Without a checkpoint that was kept elsewhere only accidental change can be ruled out. Checkpoints come from the
witnesses of the last run, from those named with --witness, and from the memory of earlier verifications.

  toolkit audit verify
  toolkit audit verify --log-directory /copy/of/audit --witness /mnt/witness --trusted-keys auditor.vkeys"""

_PROVE = """\
Print the proof that an entry (by its number), or each entry of a run (by its id), is in the log: C2SP tlog-proof, with
the entry in it. It can be checked without the log; with --output DIRECTORY each entry has a file of its own."""

_CHECK = """\
Check proofs offline. The keys that are trusted come from --key or --keys, else from the log of this machine.
A bundle can't show that none of a run's entries was left out of it."""

_KEY = """\
The keys that sign the log.

  toolkit audit key list          the keys and their state
  toolkit audit key rotate        make another one, which signs together with the others from now on
  toolkit audit key retire ID     let one sign for the last time; its private half is removed"""


def register(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Add the commands."""

    def add(name: str, text: str, description: str, run: Callable) -> argparse.ArgumentParser:
        raw = argparse.RawDescriptionHelpFormatter
        parser = commands.add_parser(name, help=text, description=description, parents=[common], formatter_class=raw)
        parser.set_defaults(run=run)
        return parser

    parser = add("verify", "verify the whole log", _VERIFY, _verify)
    parser.add_argument(
        "--witness",
        action="append",
        metavar="WITNESS",
        help="a file or directory with checkpoints, or a witness as the option witnesses names it; may be repeated. "
        "Without it those of the last run are asked",
    )
    parser.add_argument("--no-witness", action="store_true", help="ask none")
    parser.add_argument(
        "--memory", metavar="FILE", help="remember checkpoints in FILE (default: in the state directory)"
    )
    parser.add_argument(
        "--no-memory", action="store_true", help="neither compare with remembered checkpoints nor add one"
    )
    parser.add_argument(
        "--trusted-keys", metavar="FILE", help="verifier keys, one a line, that the log must go back to"
    )
    parser.add_argument("--hash-only", action="store_true", help="do not look whether every line is a record")
    parser.add_argument("--processes", type=int, default=2, metavar="N", help="default: %(default)s")

    parser = add("prove", "print proofs of entries or runs", _PROVE, _prove)
    parser.add_argument("what", metavar="RUN|ENTRY", help="the id of a run, or the number of an entry")
    parser.add_argument("--output", metavar="PATH", help="a new file; a directory gets a file for each entry")

    parser = add("check-proof", "check proofs offline", _CHECK, _check_proof)
    parser.add_argument("files", nargs="+", metavar="FILE", help="a .tlog-proof file; - for standard input")
    parser.add_argument("--key", action="append", metavar="VKEY", default=[], help="a verifier key; may be repeated")
    parser.add_argument("--keys", metavar="FILE", help="a file with verifier keys, one a line")
    parser.add_argument("--entry", metavar="FILE", help="the entry, for a proof that does not hold it")

    parser = add("key", "list, rotate and retire the keys of the log", _KEY, _key)
    parser.add_argument("action", choices=("list", "rotate", "retire"), metavar="list|rotate|retire")
    parser.add_argument("id", nargs="?", metavar="ID", help="of the key to retire")


def _existing(options: argparse.Namespace) -> str:
    directory = log_directory(options)
    if not os.path.isdir(directory):
        raise NotFoundError(f"There is no audit trail in {directory}.", hint="Name it with --log-directory.")
    return directory


def _on_processes(count: int) -> Callable[[Callable, Iterable], Iterator]:
    """Return a ``map`` that uses so many processes where there is more than one thing to do."""

    def run(function: Callable, items: Iterable) -> Iterator:
        items = list(items)
        if count < 2 or len(items) < 2:
            yield from map(function, items)
            return
        with ProcessPoolExecutor(count) as pool:
            yield from pool.map(function, items)

    return run


def _keys_of(path: str) -> list[Verifier]:
    data = read_bytes(path)
    if data is None:
        raise NotFoundError(f"There is no {path} with verifier keys.")
    return read_vkeys(data.decode("utf-8", "replace"))


def _ask_witnesses(directory: str, options: argparse.Namespace) -> tuple[list[Kept] | None, list[str], list[tuple]]:
    """Return the checkpoints of the witnesses, who could not be asked, and who cosigned how many entries."""
    if options.no_witness:
        return None, [], []
    named = options.witness or []
    paths = [text for text in named if os.path.exists(text)]
    kept = [each for path in paths for each in witnessed(path)]
    targets = [text for text in named if text not in paths]
    silent, sizes = [], []
    if targets or not named:
        for reading in read_back(directory, {"witnesses": targets} if named else None):
            if reading.error is not None:
                if named:
                    raise reading.error
                silent.append(f"The witness {reading.target.name} could not be asked: {reading.error.message}")
            kept += [Kept(f"the witness {reading.target.name}", note) for note in reading.notes]
            if reading.size is not None:
                sizes.append((reading.target.name, reading.size))
    # A witness that was never reached has nothing to say; one that the auditor names must have a checkpoint.
    return (kept if kept or named else None), silent, sizes


def _verify(options: argparse.Namespace) -> int:
    directory = _existing(options)
    trusted = _keys_of(options.trusted_keys) if options.trusted_keys else []
    memory = None if options.no_memory else Memory(options.memory or default_memory(directory))
    kept, silent, sizes = _ask_witnesses(directory, options)
    with ProgressBar("Verifying") as progress_bar:
        report = verify(
            directory,
            memory=memory,
            witnesses=kept,
            trusted=trusted,
            parse=not options.hash_only,
            run=_on_processes(options.processes),
            progress=progress_bar,
        )
    report.notes += silent
    for name, size in sizes:
        if size > report.size:
            message = f"It cosigned {size} entries, the log has {report.size}: it was rolled back."
            report.findings.append(Finding("witness", f"the witness {name}", message, report.size))
    _note_result(directory, report)
    if options.json:
        print_json(report.as_dict())
    else:
        print(_text(report))
    return 0 if report.ok else 1


def _note_result(directory: str, report: Report) -> None:
    """Leave the result for the metrics; a copy that can't be written is verified all the same."""
    data = f'{{"entries": {report.size}, "ok": {str(report.ok).lower()}, "time": {int(time.time())}}}\n'
    try:
        write_atomic(os.path.join(directory, VERIFICATION_NAME), data.encode("ascii"))
    except OSError:
        pass


def _text(report: Report) -> str:
    gone = [f"{report.minimum:,} pruned"] * bool(report.minimum) + [f"{len(report.erased)} erased"] * bool(
        report.erased
    )
    gone += [f"{report.uncovered:,} more not signed yet"] * bool(report.uncovered)
    rows = [
        ("Log", report.origin or report.directory),
        ("Entries", f"{report.size:,}" + (f" ({', '.join(gone)})" if gone else "")),
        ("Files", f"{report.segments} closed segments, {report.tiles} tiles"),
        ("Root", report.root),
        ("Signed by", ", ".join(report.signed_by)),
        ("Result", "whole" if report.ok else f"WRONG, {len(report.findings)} findings"),
    ]
    lines = [f"{name:<9}  {clean(value)}".rstrip() for name, value in rows]
    if report.findings:
        found = [(finding.where, finding.message) for finding in report.findings]
        lines += ["", table(("WHERE", "WHAT IS WRONG"), found, terminal_width())]
    if report.erased:
        lines += ["", f"Erased entries: {', '.join(map(str, report.erased[:50]))}" + " ..." * (len(report.erased) > 50)]
    if report.notes:
        lines += ["", *(f"Note: {clean(note)}" for note in report.notes)]
    return "\n".join([*lines, "", report.proves])


def _prove(options: argparse.Namespace) -> int:
    directory = _existing(options)
    if options.what.isdigit():
        entries = entries_at(directory, int(options.what))
    else:
        entries = entries_of(directory, options.what)
    proofs = prove(directory, entries)
    count = _write_proofs(proofs, options.output)
    if not count:
        what = f"entry {options.what}" if options.what.isdigit() else f"run {options.what}"
        raise NotFoundError(f"The log has no {what}.")
    if options.output:
        if options.json:
            print_json({"proofs": count, "output": options.output})
        else:
            progress(f"{count} proofs are in {options.output}.")
    return 0


def _write_proofs(proofs: Iterator[Proof], output: str | None) -> int:
    count = 0
    if output and (os.path.isdir(output) or output.endswith("/")):
        os.makedirs(output, mode=0o700, exist_ok=True)
        for proof in proofs:
            write_atomic(os.path.join(output, f"{proof.index}.tlog-proof"), proof.encode())
            count += 1
        return count
    if output:
        found = [proof.encode() for proof in proofs]
        if found:
            write_atomic(output, b"".join(found))
        return len(found)
    for proof in proofs:
        sys.stdout.buffer.write(proof.encode())
        count += 1
    sys.stdout.buffer.flush()
    return count


def _check_proof(options: argparse.Namespace) -> int:
    verifiers, source = _trusted_for_proofs(options)
    entry = None
    if options.entry:
        entry = read_bytes(options.entry)
        if entry is None:
            raise NotFoundError(f"There is no {options.entry}.")
        entry = entry[:-1] if entry.endswith(b"\n") else entry
    rows = []
    for name in options.files:
        data = sys.stdin.buffer.read() if name == "-" else read_bytes(name)
        if data is None:
            raise NotFoundError(f"There is no {name}.")
        try:
            for proof in parse_proofs(data):
                rows.append(_row(check(proof, verifiers, entry)))
        except ToolkitError as error:
            error.item = name
            raise
    if options.json:
        print_json({"proven": rows, "keys_from": source})
        return 0
    shown = [
        (row["index"], row["timestamp"], row["event_type"], row["run_id"], row["origin"], row["size"]) for row in rows
    ]
    print(table(("ENTRY", "TIME", "EVENT", "RUN", "LOG", "OF"), shown, terminal_width()))
    print(f"\n{len(rows)} proofs hold with the keys of {clean(source)}.")
    return 0


def _row(proven) -> dict:
    record = proven.record
    fields = {name: str(record.get(name, "")) for name in ("timestamp", "event_type", "run_id")}
    signed = [signature.key_id for signature in proven.note.verified]
    head = proven.checkpoint
    return {"index": proven.index, "origin": head.origin, "size": head.size, "signed_by": signed, **fields}


def _trusted_for_proofs(options: argparse.Namespace) -> tuple[list[Verifier], str]:
    given = [Verifier.from_vkey(text) for text in options.key]
    if options.keys:
        given += _keys_of(options.keys)
    if given:
        return given, options.keys or "--key"
    path = os.path.join(log_directory(options), KEY_DIRECTORY, TRUSTED_NAME)
    if not os.path.exists(path):
        raise ValidationError("No key is trusted here.", hint="Give the log's verifier key with --key or --keys.")
    return Keyring(log_directory(options)).verifiers(), path


def _key(options: argparse.Namespace) -> int:
    directory = _existing(options)
    if (options.action == "retire") != bool(options.id):
        print("toolkit audit key: retire needs the ID of a key, the others none", file=sys.stderr)
        return 2
    keyring = Keyring(directory)
    if options.action != "list":
        # Opened once for the change and once more to sign with it, as the first thing that the next holder does.
        with Log.wait(directory, warn=progress):
            changed = keyring.rotate() if options.action == "rotate" else keyring.retire(options.id)
        with Log.wait(directory, warn=progress):
            pass
        progress(f"{changed.key_id}: done.")
    rows = keyring.table()
    if options.json:
        print_json(rows)
    else:
        print(
            table(
                ("ID", "STATE", "SINCE", "KEY"), [(row["id"], row["state"], row["since"], row["vkey"]) for row in rows]
            )
        )
    return 0


def run_export(options: argparse.Namespace) -> int:
    """Export the log in the layout of tlog-tiles to ``options.output``, new or an export that is continued."""
    directory = _existing(options)
    with ProgressBar("Exporting") as progress_bar:
        told = export_tiles(directory, os.path.abspath(options.output), progress_bar)
    if options.json:
        print_json(told)
        return 0
    progress(f"{told['size'] - told['minimum']:,} entries of {told['origin']} are in {options.output}.")
    if told["erased"]:
        progress(f"{len(told['erased'])} erased entries are placeholders in their bundles.")
    return 0
