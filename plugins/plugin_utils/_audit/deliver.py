# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deliver checkpoints to witnesses and metrics to their servers, outside of the run and never in its way.

:func:`start` is what a run calls at its end: it tells the journal and lets a detached process do the rest. That
process, a timer and a person all call :func:`deliver`; a lock keeps it single. Whoever comes while it works leaves the
work to it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ...module_utils._audit.metrics.counters import METRICS_STATE, MetricsSink, load_counters
from ...module_utils._audit.metrics.figures import WITNESS_DIRECTORY, collect
from ...module_utils._audit.metrics.targets import SinkTarget, Targets, WitnessTarget, load_targets
from ...module_utils._audit.proof.checkpoint import CHECKPOINT_NAME
from ...module_utils._core.errors import InternalError, TimeoutExpired, ToolkitError
from ...module_utils._core.outcomes import error_from_os
from . import standing
from .standing import SINK_DIRECTORY, Standing
from .witnesses import Newest, announce, newest_checkpoint, push

__all__ = ["Delivery", "announce", "deliver", "start"]

_LOCK = "deliver.lock"
_ROUNDS = 5
_EXCHANGES = 3
"""So many a witness may need."""

_DIRECTORY_SECONDS = 30.0
_ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 5))
_DETACH = 'nice -n 10 "$@" &'
_KEPT = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "PYTHONPATH")
_KEPT_PARTS = ("LC_", "XDG_", "COVERAGE_")


@dataclass
class Delivery:
    """What became of one target: ``sent``, ``current`` (it has the newest already), ``waiting`` (not before
    ``standing.next_attempt``) or ``failed``. ``standing`` is ``None`` for what the settings spell wrong."""

    group: str
    name: str
    target: str
    outcome: str
    standing: Standing | None = None
    error: ToolkitError | None = None


def _kept(name: str) -> bool:
    return name in _KEPT or name.startswith(_KEPT_PARTS) or name.lower().endswith("_proxy")


def start(directory: str) -> bool:
    """Tell the journal of the newest checkpoint, and start a detached process where anything else is to be delivered.

    It takes a few milliseconds whatever the others do, and raises nothing.

    :return: whether a process was started.
    """
    try:
        targets = load_targets(directory)
        announce(directory, targets)
        if not any(_is_due(directory, *entry) for entry in _all(targets) if entry[1].kind != "journal"):
            return False
        paths = [_ROOT, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
        environment = {name: value for name, value in os.environ.items() if _kept(name)}
        environment["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
        command = [sys.executable, "-m", "ansible_collections.scripts.toolkit.cli", "audit", "deliver", "--quiet"]
        # The shell ends at once, so that the process belongs to init: nobody waits for it and it leaves no zombie.
        subprocess.run(
            ["/bin/sh", "-c", _DETACH, "sh", *command, "--log-directory", directory],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
            cwd="/",
            start_new_session=True,
            timeout=5,
            check=False,
        )
    except (OSError, ToolkitError, subprocess.SubprocessError):
        return False  # the next run or a timer delivers it
    return True


def _all(targets: Targets) -> Iterator[tuple[str, WitnessTarget | SinkTarget]]:
    yield from ((WITNESS_DIRECTORY, target) for target in targets.witnesses)
    yield from ((SINK_DIRECTORY, target) for target in targets.sinks)


def _is_due(directory: str, group: str, target: WitnessTarget | SinkTarget) -> bool:
    return standing.load(directory, group, target.name, target.text).due(time.time())


@contextlib.contextmanager
def _lock(directory: str) -> Iterator[bool]:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(os.path.join(directory, _LOCK), flags, 0o600)
    try:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True
    finally:
        os.close(descriptor)


def _stamp(directory: str) -> list:
    found = []
    for name in (CHECKPOINT_NAME, METRICS_STATE):
        try:
            status = os.stat(os.path.join(directory, name))
            found.append((status.st_ino, status.st_mtime_ns, status.st_size))
        except OSError:
            found.append(None)
    return found


def deliver(
    directory: str,
    now: bool = False,
    groups: tuple[str, ...] = (WITNESS_DIRECTORY, SINK_DIRECTORY),
    names: tuple[str, ...] = (),
    version: str = "",
) -> list[Delivery] | None:
    """Deliver what is due to all targets at the same time, each with its own deadline.

    :param now: also to those that failed so lately that they would wait.
    :param groups: ``witness``, ``sinks`` or both.
    :param names: only these targets; none for all.
    :param version: of this collection, for servers that want to know.
    :return: ``None`` when another process is at it, which then also delivers what is new by now.
    :raises OSError: the log's directory can't be written.
    """
    deliveries: list[Delivery] | None = None
    for _round in range(_ROUNDS):
        with _lock(directory) as ours:
            if not ours:
                return deliveries
            stamp = _stamp(directory)
            done = _once(directory, now and deliveries is None, groups, names, version)
            deliveries = done if deliveries is None else _later(deliveries, done)
        # Whoever came meanwhile left its work to us: look again, now that nobody can think we would still see it.
        if _stamp(directory) == stamp:
            break
    return deliveries


def _later(before: list[Delivery], after: list[Delivery]) -> list[Delivery]:
    """Return the outcomes of a further round, with those before it where it had nothing to do."""
    known = {(entry.group, entry.name): entry for entry in before}
    quiet = ("current", "waiting")
    return [known.get((entry.group, entry.name), entry) if entry.outcome in quiet else entry for entry in after]


def _once(directory: str, now: bool, groups: tuple[str, ...], names: tuple[str, ...], version: str) -> list[Delivery]:
    targets = load_targets(directory)
    deliveries = [Delivery("settings", "", text, "failed", error=error) for text, error in targets.wrong]
    try:
        newest = newest_checkpoint(directory)
    except ToolkitError as error:
        newest = None
        deliveries.append(Delivery(WITNESS_DIRECTORY, "", CHECKPOINT_NAME, "failed", error=error))
    jobs: list[tuple[Delivery, _Job]] = []
    for group, target in _all(targets):
        if group not in groups or (names and target.name not in names):
            continue
        state = standing.load(directory, group, target.name, target.text)
        delivery = Delivery(group, target.name, target.text, "current", state)
        deliveries.append(delivery)
        if group == WITNESS_DIRECTORY:
            if newest is None or state.has(newest.checkpoint.size, newest.root):
                continue
            state.owe(newest.checkpoint.size, int(time.time()))
        if not now and not state.due(time.time()):
            delivery.outcome = "waiting"
        else:
            jobs.append((delivery, _Job(directory, target, newest, state.size, version)))
    for _delivery, job in jobs:
        job.start()
    for delivery, job in jobs:
        _settle(delivery, job)
    for delivery in deliveries:
        if delivery.standing and delivery.outcome != "current":
            standing.save(directory, delivery.group, delivery.name, delivery.standing)
    standing.prune(directory, WITNESS_DIRECTORY, {target.name for target in targets.witnesses})
    standing.prune(directory, SINK_DIRECTORY, {target.name for target in targets.sinks})
    _publish(directory, targets.metrics_path)
    return deliveries


def _publish(directory: str, path: str | None) -> None:
    """Write the text file anew: how witnesses and the verification stand may have changed since the last run.

    A run may do so at the same time, and the log's lock is not taken here, since whoever finds it taken relies on its
    holder. So what we wrote is written again when the counters are others by then.
    """
    for _try in range(_ROUNDS):
        stamp = _stamp(directory)
        try:
            MetricsSink(directory, path).publish()
        except OSError:
            return  # a timer may not be allowed to; the next run writes it
        if _stamp(directory) == stamp:
            return


def _settle(delivery: Delivery, job: _Job) -> None:
    held, error = job.result()
    now = int(time.time())
    delivery.error = error
    delivery.outcome = "failed" if error else "sent"
    if error:
        delivery.standing.failed(error, now)
    else:
        delivery.standing.succeeded(now, held or {})


class _Job:
    """A delivery in a thread of its own, which nobody has to wait for: it may hang on a dead mount for ever."""

    def __init__(
        self, directory: str, target: WitnessTarget | SinkTarget, newest: Newest | None, known: int, version: str
    ) -> None:
        self._work: Callable[[], dict | None]
        if isinstance(target, WitnessTarget):
            self._work = lambda: push(directory, target, newest, known)
        else:
            from . import metrics_sinks  # with it come HTTP and TLS, which a run has no use for

            self._work = lambda: metrics_sinks.send(target, collect(directory, load_counters(directory)), version)
        access = target.access
        self._seconds = access.timeout * _EXCHANGES + 1 if access else _DIRECTORY_SECONDS
        self._target = target
        self._deadline = 0.0
        self._held: dict | None = None
        self._error: ToolkitError | None = None
        self._thread = threading.Thread(target=self._run, name="scripts-toolkit-deliver", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._deadline = time.monotonic() + self._seconds
        self._thread.start()

    def _run(self) -> None:
        try:
            self._held = self._work()
        except ToolkitError as error:
            self._error = error
        except OSError as error:
            self._error = error_from_os(error)
        except Exception as error:  # pylint: disable=broad-exception-caught # one target must not keep the others from theirs
            self._error = InternalError(f"{type(error).__name__} while delivering to {self._target.name}.")

    def result(self) -> tuple[dict | None, ToolkitError | None]:
        """Return what a witness holds now, and what went wrong."""
        self._thread.join(max(0.0, self._deadline - time.monotonic()))
        if self._thread.is_alive():
            return None, TimeoutExpired(f"{self._target.name} did not answer within {self._seconds:g} s.")
        return self._held, self._error
