# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The figures of the audit benchmark as Markdown for docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.scripts.toolkit.tests.benchmarks import figures, measured
from ansible_collections.scripts.toolkit.tests.benchmarks.audit.others import LABELS

__all__ = ["BEGIN", "END", "flat", "joined", "promises", "put", "report"]

BEGIN, END = '<!-- figures: make bench ARGS="audit --write" -->', "<!-- /figures -->"


_ENOUGH = 500
"""Results of a run from which on its start does not hide what a result costs."""


def _microseconds(runs: list[dict], field: str = "per_result") -> list[float]:
    return [run[field] for run in runs]


def _range(values: list[float]) -> str:
    found = figures.summarize(values)
    return f"{found['median']:,.0f} ({found['min']:,.0f} to {found['max']:,.0f})"


def callback(found: dict, title: str) -> str:
    """Return the table of processor time per result; ``found``: ``{recorder: [{per_result, start, end}]}``."""
    ours = _microseconds(found["ours"])
    rows = []
    for name, runs in sorted(found.items(), key=lambda pair: figures.summarize(_microseconds(pair[1]))["median"]):
        once = figures.summarize([(run["start"] + run["end"]) / 1000 for run in runs])["median"]
        ratio = figures.paired_ratio(_microseconds(runs), ours)
        rows.append([LABELS[name], _range(_microseconds(runs)), f"{ratio:.2f}", f"{once:.1f}"])
    return figures.table([title, "processor, µs a result", "/ ours", "once a run, ms"], rows)


def whole(found: dict[str, list[dict]]) -> str:
    """Return the table of whole runs."""
    results = found["none"][0]["results"]

    def processor(runs: list[dict]) -> list[float]:
        return [run["processor"] + run["server"] for run in runs]

    bare = processor(found["none"])
    rows = []
    for name, runs in found.items():
        used = processor(runs)
        more = figures.summarize([(one - none) / results * 1e6 for one, none in zip(used, bare)])["median"]
        rows.append([
            LABELS[name],
            figures.summarize([run["wall"] for run in runs]),
            figures.summarize(used),
            f"{figures.paired_ratio(used, bare):.2f}",
            f"{figures.paired_ratio([run['wall'] for run in runs], [run['wall'] for run in found['none']]):.2f}",
            f"{more:,.0f}" if name != "none" and results >= _ENOUGH else "",
        ])  # fmt: skip
    head = [f"run of {results:,} results", "wall time, s", "processor, s", "processor / without", "wall / without"]
    return figures.table([*head, "µs a result"], rows)


def memory(found: dict) -> str:
    """Return the table of memory."""
    rows = [[name if not name.isdigit() else f"{int(name):,} results", size] for name, size in found.items()]
    return figures.table(["recorded", "resident, MiB"], rows)


def flat(found: object, name: str = "") -> Iterator[tuple[str, object]]:
    """Yield ``(a.b.c, value)`` of nested figures."""
    pairs = found.items() if isinstance(found, dict) else enumerate(found) if isinstance(found, list) else ()
    for key, value in pairs:
        yield from flat(value, f"{name}.{key}" if name else str(key))
    if not isinstance(found, (dict, list)):
        yield (
            name,
            f"{found:,.2f}"
            if isinstance(found, float)
            else f"{found:,}"
            if isinstance(found, int) and not isinstance(found, bool)
            else found,
        )


def _median(found: dict, name: str) -> float:
    return figures.summarize(_microseconds(found[name]))["median"]


def promises(result: dict) -> str:
    """Return the table of what was promised of the callback, and what came out."""
    rows: list[list[object]] = []

    def row(what: str, most: float, measured: float, form: str) -> None:
        rows.append([what, f"<= {most:{form}}", f"{measured:{form}}", "held" if measured <= most else "MISSED"])

    def least(what: str, at_least: float, measured: float) -> None:
        rows.append([what, f">= {at_least:,.0f}", f"{measured:,.0f}", "held" if measured >= at_least else "MISSED"])

    for key, where in (("in_the_run", "1,000 results"), ("large", "50 hosts by 100 tasks")):
        found = result.get("large", {}).get("in_the_run", {}) if key == "large" else result.get("callback", {}).get(key)
        if not found:
            continue
        found = {name: runs if isinstance(runs, list) else [runs] for name, runs in found.items()}
        row(f"processor a result, µs ({where})", 350, _median(found, "ours"), ".0f")
        row(f"against a bare appender ({where})", 1.7, _median(found, "ours") / _median(found, "bare"), ".2f")
        for name in ("log_plays", "jsonl", "otel_live"):
            if name in found:
                row(f"against {LABELS[name]}", 1, _median(found, "ours") / _median(found, name), ".2f")
    if "in_the_run" in result.get("callback", {}) and "1000" in result.get("whole", {}):
        run = result["whole"]["1000"]["none"]
        each = figures.summarize([one["processor"] / one["results"] * 1e6 for one in run])["median"]
        row("share of the run, %", 1.5, 100 * _median(result["callback"]["in_the_run"], "ours") / each, ".2f")
    found = result.get("callback", {}).get("replayed_ara")
    if found:
        row("against ARA offline, 1/90 = 0.011", 1 / 90, _median(found, "ours") / _median(found, "ara_offline"), ".4f")
    found = result.get("memory", {}).get("resident_mib")
    if found and "500000" in found:
        # A buffer for what a run hands over while it goes on; kept for each result, it would be 21 bytes.
        row("memory from 1,000 to 500,000 results, MiB more", 10, found["500000"] - found["1000"], ".1f")
    for one in result.get("append", ()):
        wanted = {1: 10_000, 20: 5_000}[one["processes"]]
        if one["asked"] == "most":
            least(f"events a second, {one['processes']} processes", wanted, one["events_per_second"])
        else:
            row(f"durable, ms at {wanted:,} a second, {one['processes']} processes", 200, one["worst_ms"], ".0f")
    if "verify" in result:
        least("verified a second, hashing only", 200_000, result["verify"]["hashing_only_per_second"])
        least("verified a second, every line parsed", 50_000, result["verify"]["parsing_per_second"])
    if "index" in result:
        searches = result["index"]["searches"].values()
        least("indexed a second", 15_000, result["index"]["entries_per_second"])
        row("slowest of the searches, first page, ms", 100, max(one["ms"] for one in searches), ".1f")
        faster = [one["times_faster_than_jq"] for one in searches if "times_faster_than_jq" in one]
        if faster:
            least("times faster than jq, the least of them", 100, min(faster))
    return figures.table(["promise", "", "measured", ""], rows) if rows else ""


def of_rows(name: str, found: list[dict]) -> str:
    """Return a table with a row for each of ``found``."""
    cells = [[dict(flat(one)).get(key) for key in found[0]] for one in found]
    return figures.table([f"{name}: {next(iter(found[0]))}", *list(found[0])[1:]], cells)


def put(page: str, text: str) -> str:
    """Return a page of documentation with ``text`` between its two markers.

    :raises ValueError: it has none.
    """
    before, begin, rest = page.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("The page has no markers for the figures.")
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


def joined(before: dict, now: dict) -> dict:
    """Return the figures of ``now``, and of the parts that it did not measure those of ``before``.

    :raises ValueError: they are of another machine or of other versions, so they can't stand beside each other.
    """
    for key in ("machine", "versions", "left_out"):
        if before[key] != now[key]:
            raise ValueError(f"The figures of the last time are of another {key}: {before[key]}; now {now[key]}.")
    runs = []
    for run in before["runs"]:
        seconds = {part: taken for part, taken in run["seconds"].items() if not set(part.split("_and_")) & set(now)}
        runs += [{**run, "seconds": seconds}] if seconds else []
    return {**before, **now, "runs": [*runs, *now["runs"]]}


def report(result: dict) -> str:
    """Return everything that was measured."""
    lines = [kept for kept in [promises(result)] if kept]
    if "callback" in result:
        for key, title in (
            ("in_the_run", "in a run of 1,000 results"),
            ("replayed", "the same, replayed"),
            ("replayed_ara", "100 results, replayed"),
        ):
            if key in result["callback"]:
                lines.append(callback(result["callback"][key], title))
    if "large" in result:
        runs = {name: [one] for name, one in result["large"]["in_the_run"].items()}
        lines.append(callback(runs, "in a run of 50 hosts by 100 tasks"))
    lines += [whole(found) for found in result.get("whole", {}).values()]
    if "memory" in result:
        lines.append(memory(result["memory"]["resident_mib"]))
    for part in ("append", "verify", "index"):
        if isinstance(result.get(part), list):
            lines.append(of_rows(part, result[part]))
        elif part in result:
            rest = {key: value for key, value in result[part].items() if key != "searches"}
            lines.append(figures.table([part, ""], list(flat(rest))))
            if "searches" in result[part]:
                lines.append(
                    of_rows("search", [{"first page": name, **one} for name, one in result[part]["searches"].items()])
                )
    lines.append(measured.sentence(result["machine"]))
    lines.append(", ".join(f"{name} {version}" for name, version in result["versions"].items()))
    lines += [f"Left out: {name}: {reason}." for name, reason in result["left_out"].items()]
    lines += [f"FAILED: {name}: {reason}" for name, reason in result["failed"].items()]
    lines += [
        f"{run['date']}: {run['command']}; load at the end {run['load']:.1f}. Seconds: "
        + ", ".join(f"{part} {seconds}" for part, seconds in run["seconds"].items())
        for run in result["runs"]
    ]
    return "\n\n".join(lines)
