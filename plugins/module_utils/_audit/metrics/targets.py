# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where checkpoints and metrics go: the options ``witnesses`` and ``metrics_sinks``, read and judged.

Witnesses:

- ``journal``: systemd's journal of this machine; ``journal:/path`` for another socket.
- ``directory:/path``: a directory, usually the mount of another host.
- ``https://host/prefix#VKEY``: a C2SP tlog-witness under this submission prefix, with its pinned verifier key.

Metrics sinks:

- ``pushgateway+https://host:9091[/prefix][/metrics/job/JOB/...]``
- ``otlp+https://host:4318[/v1/metrics]``: OTLP over HTTP, as JSON.
- ``influxdb+https://host:8086[/prefix]?db=NAME`` or ``?org=NAME&bucket=NAME``

``http`` works as well as ``https``. More settings stand in the query of a URL: ``token_file``, ``ca_file`` (both
paths), ``timeout`` (seconds); for sinks also ``username`` with ``password_file``. No secret stands in a URL, since it
is shown and stored.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit, urlunsplit

from ..._core.errors import ToolkitError, ValidationError
from ..._core.files import read_bytes
from ..._core.signed_note import COSIGNATURE, Verifier

__all__ = [
    "JOURNAL_SOCKET",
    "SETTINGS_NAME",
    "Access",
    "SinkTarget",
    "Targets",
    "WitnessTarget",
    "complaints",
    "load_targets",
    "parse_sink",
    "parse_witness",
]

JOURNAL_SOCKET = "/run/systemd/journal/socket"
SETTINGS_NAME = "settings.json"
"""The settings of the last run, in the log's directory."""

_SINKS = ("pushgateway", "otlp", "influxdb")
_MOST_SECONDS = 120.0


@dataclass(frozen=True)
class Access:
    """How to reach a server.

    :param url: without the settings of this collection.
    :param timeout: seconds that one exchange may take in all.
    """

    url: str
    token_file: str | None = None
    username: str | None = None
    password_file: str | None = None
    ca_file: str | None = None
    timeout: float = 10.0


@dataclass(frozen=True)
class WitnessTarget:
    """A witness: ``kind`` is ``journal`` (``path`` is its socket), ``directory`` (``path``) or ``http`` (``access``,
    ``verifier``). ``name`` is that of its state file."""

    kind: str
    name: str
    text: str
    path: str = ""
    access: Access | None = None
    verifier: Verifier | None = None


@dataclass(frozen=True)
class SinkTarget:
    """A sink for metrics: ``kind`` is ``pushgateway``, ``otlp`` or ``influxdb``; ``query`` belongs to InfluxDB."""

    kind: str
    name: str
    text: str
    access: Access
    query: tuple[tuple[str, str], ...] = ()


@dataclass
class Targets:
    """What the settings name. ``wrong`` holds what can't be used, each as ``(text, error)``."""

    witnesses: list[WitnessTarget] = field(default_factory=list)
    sinks: list[SinkTarget] = field(default_factory=list)
    metrics_path: str | None = None
    wrong: list[tuple[str, ToolkitError]] = field(default_factory=list)


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:8]


def _file_name(word: str, text: str) -> str:
    return f"{re.sub(r'[^A-Za-z0-9.-]+', '-', word).strip('.-')[:60] or 'target'}-{_short_hash(text)}"


def _wrong(option: str, text: str, what: str, hint: str) -> ValidationError:
    # A password that was put where none belongs is not repeated.
    shown = re.sub(r"//[^/@]*@", "//***@", text.partition("?")[0].partition("#")[0])
    return ValidationError(f"{option}: {shown[:200]!r} {what}.", hint=hint)


def _split(option: str, text: str, url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port_is_fine = parts.port != 0
    except ValueError as error:
        raise _wrong(option, text, f"is no URL: {error}", "Write scheme://host:port/path.") from None
    if not parts.hostname or not port_is_fine or re.search(r"[\x00-\x20\x7f]", url):
        raise _wrong(option, text, "is no URL with a host", "Write scheme://host:port/path, without blanks.")
    if parts.username is not None or parts.password is not None:
        hint = "Put the secret into a file and name it: ?token_file=/path, or ?username=NAME&password_file=/path."
        raise _wrong(option, text, "has credentials in it", hint)
    return parts


def _access(option: str, text: str, parts: SplitResult, allowed: Iterable[str]) -> tuple[Access, list[tuple[str, str]]]:
    """Return the access and those parameters of the query which are in ``allowed`` but none of the collection's."""
    own: dict[str, str] = {}
    rest: list[tuple[str, str]] = []
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name not in allowed:
            hint = f"It takes {', '.join(sorted(allowed))}. Secrets come from files only."
            raise _wrong(option, text, f"has the unknown parameter {name[:40]!r} in its query", hint)
        if name in ("token_file", "ca_file", "password_file", "username", "timeout"):
            own[name] = value
        else:
            rest.append((name, value))
    for name in ("token_file", "ca_file", "password_file"):
        if name in own and not os.path.isabs(own[name]):
            raise _wrong(option, text, f"names no absolute path in {name}", f"Write {name}=/path/to/file.")
    if ("username" in own) != ("password_file" in own) or ("username" in own and "token_file" in own):
        hint = "Give both, or token_file alone."
        raise _wrong(option, text, "needs username and password_file together", hint)
    try:
        timeout = float(own.pop("timeout", 10))
    except ValueError:
        timeout = 0.0
    if not 0.1 <= timeout <= _MOST_SECONDS:
        raise _wrong(option, text, "has no good timeout", f"It is a number of seconds up to {_MOST_SECONDS:g}.")
    url = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
    return Access(url, timeout=timeout, **own), rest


def parse_witness(text: str, option: str = "witnesses") -> WitnessTarget:
    """Return the witness that an entry of the option names.

    :raises ValidationError: it is none; the message names the option.
    """
    text = str(text).strip()
    kind, colon, rest = text.partition(":")
    if kind in ("journal", "directory"):
        if kind == "journal" and not colon:
            return WitnessTarget("journal", "journal", text, JOURNAL_SOCKET)
        if not os.path.isabs(rest):
            raise _wrong(option, text, "names no absolute path", f"Write {kind}:/path.")
        name = _file_name(f"{kind}-{os.path.basename(os.path.normpath(rest))}", rest)
        return WitnessTarget(kind, name, text, os.path.normpath(rest))
    if kind not in ("http", "https"):
        hint = "It is journal, directory:/path or https://host/prefix#VERIFIER-KEY."
        raise _wrong(option, text, "is no witness", hint)
    url, _hash, vkey = text.partition("#")
    parts = _split(option, text, url)
    try:
        verifier = Verifier.from_vkey(vkey)
    except ValidationError as error:
        hint = "Append the witness's key to the URL: #NAME+ID+KEY."
        raise _wrong(option, text, f"pins no key ({error.message.rstrip('.')})", hint) from None
    if verifier.kind != COSIGNATURE:
        hint = "A witness's key is for cosignatures: its last part begins with B."
        raise _wrong(option, text, f"pins {verifier.name}, which is no key of a witness", hint)
    access, _rest = _access(option, text, parts, ("token_file", "ca_file", "timeout"))
    access = Access(access.url.rstrip("/"), access.token_file, ca_file=access.ca_file, timeout=access.timeout)
    name = _file_name(parts.hostname, f"{access.url}#{vkey}")
    return WitnessTarget("http", name, text, access=access, verifier=verifier)


def parse_sink(text: str, option: str = "metrics_sinks") -> SinkTarget:
    """Return the sink that an entry of the option names.

    :raises ValidationError: it is none; the message names the option.
    """
    text = str(text).strip()
    kind, plus, rest = text.partition("+")
    if not plus or kind not in _SINKS or rest.partition(":")[0] not in ("http", "https"):
        hint = f"It begins with {', '.join(f'{sink}+https://' for sink in _SINKS)}; http:// works too."
        raise _wrong(option, text, "is no sink for metrics", hint)
    parts = _split(option, text, rest)
    if parts.fragment:
        raise _wrong(option, text, "has a # in it", "A sink's URL ends with its query.")
    allowed = ["token_file", "ca_file", "username", "password_file", "timeout"]
    access, query = _access(option, text, parts, [*allowed, *(("db", "rp", "org", "bucket") * (kind == "influxdb"))])
    if kind == "influxdb":
        names = {name for name, value in query if value}
        if names not in ({"db"}, {"db", "rp"}, {"org", "bucket"}):
            raise _wrong(option, text, "names no database", "Append ?db=NAME, or ?org=NAME&bucket=NAME for version 2.")
    name = _file_name(f"{kind}-{parts.hostname}", f"{access.url}?{urlencode(query)}")
    return SinkTarget(kind, name, text, access, tuple(query))


def complaints(witnesses: Iterable[str], sinks: Iterable[str]) -> list[ToolkitError]:
    """Return what is wrong with the entries of the two options."""
    found: list[ToolkitError] = []
    for parse, texts in ((parse_witness, witnesses), (parse_sink, sinks)):
        for text in texts:
            try:
                if str(text).strip():
                    parse(text)
            except ToolkitError as error:
                found.append(error)
    return found


def load_targets(directory: str) -> Targets:
    """Return the targets that ``settings.json`` in the log's directory names; without it, the journal.

    What can't be used is told in ``wrong``: a bad entry must not keep the others from their work.
    """
    data = read_bytes(os.path.join(directory, SETTINGS_NAME))
    targets = Targets()
    settings: dict = {}
    if data is not None:
        try:
            found = json.loads(data)
            if not isinstance(found, dict):
                raise ValueError("no object")
            settings = found
        except ValueError as error:
            path = os.path.join(directory, SETTINGS_NAME)
            targets.wrong.append((path, ValidationError(f"{path} can't be read: {error}.")))
    path = settings.get("metrics_path")
    targets.metrics_path = path if isinstance(path, str) and path else None

    def take(option: str, default: list, parse: Callable, into: list) -> None:
        entries = settings.get(option, default)
        for text in [entries] if isinstance(entries, str) else entries or ():
            if not str(text).strip():  # an option that was set to nothing
                continue
            try:
                target = parse(str(text), option)
            except ToolkitError as error:
                targets.wrong.append((str(text), error))
                continue
            if target.name not in {other.name for other in into}:
                into.append(target)

    take("witnesses", ["journal"], parse_witness, targets.witnesses)
    take("metrics_sinks", [], parse_sink, targets.sinks)
    return targets
