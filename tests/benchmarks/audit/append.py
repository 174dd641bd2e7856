# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many events a second the audit trail takes, and how long each is not yet safe from power loss.

Events of the usual size go through the recorder into journals, from one process and from several at once, as fast as
they can and at a steady rate. The time to be durable runs from the return of ``write(2)`` to that of the first
``fdatasync(2)`` that began after it. The runs are then taken into the log, which is verified.

    python append.py [--directory DIRECTORY] [--seconds 5]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof.verify import verify
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.record.recorder import Identity, Recorder
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store.integrator import integrate, integrate_living
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store.journal import JournalSink

__all__ = ["measure"]

_DETAILS = {
    "changed": True,
    "duration_ms": 1234,
    "host": "web17.example.com",
    "module": "ansible.builtin.template",
    "msg": "The file was changed because its template was, and the service will be reloaded by its handler.",
    "path": "/etc/nginx/sites-available/shop.example.com.conf",
    "play": 1,
    "status": "changed",
    "task": "nginx : Virtual hosts are written",
    "task_id": "0242ac11-0002-4a3b-9f1c-0000000001f7",
    "task_path": "/srv/deploy/roles/nginx/tasks/main.yml:31",
}


def _write(directory: str, seconds: float, rate: float | None, checkpoint: float) -> dict:
    """Record events for so many seconds, at a steady rate or as fast as possible; return what was measured."""
    identity = Identity.of_this_process("ansible-playbook --inventory hosts site.yml")
    sink = JournalSink(directory, identity.run_id)
    recorder = Recorder(identity, "/srv/deploy/site.yml", sink)
    syncs: list[tuple[float, float]] = []
    real = os.fdatasync

    def timed(descriptor: int) -> None:
        begin = time.monotonic()
        real(descriptor)
        syncs.append((begin, time.monotonic()))

    os.fdatasync = timed
    recorder.record("EXECUTION_START", {})
    written: list[float] = []
    begin = last = time.monotonic()
    processor = time.process_time()
    while True:
        now = time.monotonic()
        if now - begin >= seconds:
            break
        if rate is not None and len(written) > rate * (now - begin):
            time.sleep(0.001)
            continue
        recorder.record("TASK_RESULT", {**_DETAILS, "n": len(written)})
        written.append(time.monotonic())
        if written[-1] - last >= checkpoint:
            last = written[-1]
            integrate_living(directory, identity.run_id)
    took = time.monotonic() - begin
    processor = time.process_time() - processor
    recorder.record("EXECUTION_END", {"status": "success"})
    recorder.close()
    os.fdatasync = real
    delays, at = [], 0
    for moment in written:
        while at < len(syncs) - 1 and syncs[at][0] < moment:
            at += 1
        delays.append(syncs[at][1] - moment)
    delays.sort()
    return {
        "events": len(written),
        "seconds": took,
        "cpu_us": processor / len(written) * 1e6,
        "median_ms": delays[len(delays) // 2] * 1000,
        "worst_ms": delays[-1] * 1000,
    }


def measure(
    directory: str, processes: int, seconds: float, rate: float | None = None, checkpoint: float = 30.0
) -> dict:
    """Write from so many processes at once; then take all into the log and verify it.

    :param rate: events a second of all processes together, ``None`` for as many as possible.
    :param checkpoint: seconds between two times at which a run is taken in while it goes on.
    :return: ``events_per_second`` (while writing), ``cpu_us`` (per event), ``median_ms`` and ``worst_ms`` until an
        event is durable, ``integrated_per_second`` (what the end of all runs took), ``entries``.
    """
    pipes = []
    for _number in range(processes):
        read, write = os.pipe()
        if not os.fork():
            code = 1
            try:
                found = _write(directory, seconds, rate / processes if rate else None, checkpoint)
                os.write(write, json.dumps(found).encode())
                code = 0
            finally:
                os._exit(code)
        os.close(write)
        pipes.append(read)
    results = []
    for read in pipes:
        with os.fdopen(read) as pipe:
            results.append(json.load(pipe))
        os.wait()
    events = sum(each["events"] for each in results)
    begin = time.monotonic()
    integrate(directory, lambda _end: None)
    took = time.monotonic() - begin
    report = verify(directory)
    if not report.ok:
        raise SystemExit(f"The log does not verify: {report.findings[:3]}")
    return {
        "processes": processes,
        "events_per_second": round(events / max(each["seconds"] for each in results)),
        "cpu_us": round(sum(each["cpu_us"] * each["events"] for each in results) / events, 1),
        "median_ms": round(sum(each["median_ms"] for each in results) / processes),
        "worst_ms": round(max(each["worst_ms"] for each in results)),
        "integrated_per_second": round(events / took),
        "entries": report.size,
    }


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--directory", help="where to write, on the kind of disk that is of interest")
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    base = tempfile.mkdtemp(prefix="append-", dir=options.directory)
    print("processes  asked/s  events/s  CPU us  durable ms: median  worst  taken in/s")
    try:
        for processes, rate in ((1, None), (1, 10_000), (20, None), (20, 5_000)):
            found = measure(os.path.join(base, f"{processes}-{rate}"), processes, options.seconds, rate)
            print(
                f"{processes:9}  {rate or 'most':>7}  {found['events_per_second']:8}  {found['cpu_us']:6}"
                f"  {found['median_ms']:18}  {found['worst_ms']:5}  {found['integrated_per_second']:10}",
                flush=True,
            )
    finally:
        shutil.rmtree(base)


if __name__ == "__main__":
    sys.exit(main())
