# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many probes are admitted when many processes meet an open circuit whose time has come? It must be one, always.

    python tests/benchmarks/guard/one_probe.py [--backend sqlite|redis|postgresql]... [--processes 64] [--trials 10000]

Each trial has a circuit of its own that just opened for no time worth mentioning. All processes, which wait at a
barrier, ask to enter it at once, and all wait again until everybody has an answer. Servers are started here, from
Debian's packages. Prints a line of JSON for each backend, ``admitted`` being ``{probes: trials}``; exit status 1 where
there is anything but one.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import select
import sys
import time
from collections import Counter
from contextlib import ExitStack, contextmanager

from ansible_collections.scripts.toolkit.plugins.module_utils._guard.circuit import (
    Circuit,
    CircuitOpen,
    Policy,
    open_store,
)
from ansible_collections.scripts.toolkit.tests.integration.servers import (
    PostgresqlServer,
    RedisServer,
    private_directory,
)

BACKENDS = ("sqlite", "redis", "postgresql")
POLICY = Policy(threshold=1, open_for=1e-6, probe_timeout=3600)
_FORK = multiprocessing.get_context("fork")


@contextmanager
def place(backend: str):
    """Give ``(backend, directory)`` for ``open_store``, with a server of its own where it needs one."""
    with ExitStack() as stack:
        directory = stack.enter_context(private_directory(backend))
        if backend == "sqlite":
            yield None, str(directory)
            return
        server = {"redis": RedisServer, "postgresql": PostgresqlServer}[backend](directory)
        server.start()
        stack.callback(server.stop)
        yield server.url, str(directory)


def opened(store, name: str) -> None:
    circuit = Circuit(store, name, POLICY)
    assert circuit.leave(circuit.enter(), False)


class Barrier:
    """Lets processes go on when all of them have come, by pipes: cheaper than that of multiprocessing.

    A byte in ``come`` for each process that waits, a byte in ``go`` for each that may go on: in one of two by turns,
    since a quick process would take the byte of a slow one.
    """

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._come, self._go = os.pipe(), [os.pipe(), os.pipe()]

    def wait(self) -> None:
        """Wait for all others."""
        os.write(self._come[1], b".")
        os.read(self._go[0][0], 1)
        self._go.reverse()

    def let_go(self) -> None:
        """Wait until all have come and let them go on; called by their parent.

        :raises TimeoutError: one of them did not come within a minute.
        """
        missing = self._processes
        while missing:
            if not select.select([self._come[0]], [], [], 60)[0]:
                raise TimeoutError(f"{missing} processes did not come")
            missing -= len(os.read(self._come[0], missing))
        os.write(self._go[0][1], b"." * self._processes)
        self._go.reverse()


def one(rank: int, url: str | None, directory: str, trials: int, barrier: Barrier, admitted) -> None:
    """Be one of the processes; the first of them also opens the circuits."""
    store = open_store(url, directory)
    # One connection for all trials, so that they meet in the store and not on the way to it.
    release, store.release = store.release, lambda: None
    if rank == 0:
        opened(store, "0")
    for trial in range(trials):
        barrier.wait()
        try:
            assert Circuit(store, str(trial), POLICY).enter().state == "half_open"
            with admitted.get_lock():
                admitted[trial] += 1
        except CircuitOpen:
            pass
        if rank == 0 and trial + 1 < trials:
            opened(store, str(trial + 1))
    # Nobody leaves before all have asked: the place of a process that is gone would be free again.
    barrier.wait()
    release()


def run(backend: str, processes: int, trials: int) -> dict:
    """Return what happened on one backend."""
    with place(backend) as (url, directory):
        open_store(url, directory)  # loads the library once, not in every process
        barrier, admitted = Barrier(processes), _FORK.Array("i", trials)
        began = time.monotonic()
        workers = [
            _FORK.Process(target=one, args=(rank, url, directory, trials, barrier, admitted), daemon=True)
            for rank in range(processes)
        ]
        for worker in workers:
            worker.start()
        for _trial in range(trials + 1):
            barrier.let_go()
        for worker in workers:
            worker.join()
        seconds = time.monotonic() - began
        return {
            "backend": backend,
            "processes": processes,
            "trials": trials,
            "admitted": dict(Counter(admitted[:])),
            "workers_failed": sum(worker.exitcode != 0 for worker in workers),
            "seconds": round(seconds, 1),
        }


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", action="append", choices=BACKENDS)
    parser.add_argument("--processes", type=int, default=64)
    parser.add_argument("--trials", type=int, default=10_000)
    options = parser.parse_args(arguments)
    wrong = 0
    for backend in options.backend or BACKENDS:
        result = run(backend, options.processes, options.trials)
        print(json.dumps(result), flush=True)
        wrong += result["admitted"] != {1: options.trials} or result["workers_failed"] > 0
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
