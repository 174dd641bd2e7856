# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules: how targets are probed, and what is expected of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..._core.errors import ValidationError
from .addresses import parse_endpoint, parse_target
from .patterns import Pattern
from .targets import TARGET_TYPES, Target

__all__ = ["LAYERS", "LAYER_OF", "RULE_TYPES", "TARGET_PLACE", "Rule", "make_rules", "rules_for", "rules_spec"]

LAYERS = ("route", "dns", "tcp", "tls", "application")

LAYER_OF = {
    "icmp": "route",
    "dns": "dns",
    "tcp": "tcp",
    "udp": "tcp",
    "tls": "tls",
    "http": "application",
    "https": "application",
    "ssh": "application",
    "smtp": "application",
    "imap": "application",
    "ntp": "application",
    "query": "application",
    "command": "application",
}
"""The layer that a rule of each type proves, and with it all below. ``tcp`` stands for the transport, UDP's too."""

RULE_TYPES = tuple(LAYER_OF)
TARGET_PLACE = "{TARGET}"

_DEFAULT_PORTS = {"http": 80, "https": 443, "tls": 443, "ssh": 22, "smtp": 25, "imap": 143, "ntp": 123, "dns": 53}
_NEED_PORT = ("tcp", "udp", "query")
RECORDS = ("A", "AAAA", "PTR", "MX", "TXT", "SRV")
PROTOCOLS = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
_METHODS = ("GET", "HEAD")
_MANY_PORTS = ("tcp", "udp")

_OWN: dict[str, dict[str, Any]] = {
    "ports": {"type": "list", "elements": "int", "default": []},
    "default_ports": {"type": "list", "elements": "int", "default": []},
    "require": {"type": "str", "choices": ["all", "any"], "default": "all"},
    "count": {"type": "int", "default": 1},
    "interval_ms": {"type": "int", "default": 100},
    "size": {"type": "int", "default": 32},
    "minimum_alive": {"type": "int", "default": 1},
    "warn_ms": {"type": "float"},
    "fail_ms": {"type": "float"},
    "warn_loss": {"type": "float", "default": 1.0},
    "fail_loss": {"type": "float", "default": 50.0},
    "warn_days": {"type": "int", "default": 21},
    "fail_days": {"type": "int", "default": 0},
    "warn_offset_ms": {"type": "float", "default": 100.0},
    "fail_offset_ms": {"type": "float", "default": 1000.0},
    "record": {"type": "str", "choices": list(RECORDS)},
    "query": {"type": "str"},
    "server": {"type": "str"},
    "expect": {"type": "list", "elements": "str", "default": []},
    "dnssec": {"type": "bool", "default": False},
    "method": {"type": "str", "choices": list(_METHODS), "default": "GET"},
    "path": {"type": "str"},
    "status": {"type": "list", "elements": "int", "default": []},
    "header_patterns": {"type": "dict", "default": {}},
    "max_redirects": {"type": "int", "default": 0},
    "verify": {"type": "bool", "default": True},
    "ca_path": {"type": "path"},
    "server_name": {"type": "str"},
    "min_protocol": {"type": "str", "choices": list(PROTOCOLS), "default": "TLSv1.2"},
    "fingerprint": {"type": "str"},
    "key_type": {"type": "str"},
    "transport": {"type": "str", "choices": ["tcp", "udp"], "default": "tcp"},
    "send": {"type": "str", "default": ""},
    "argv": {"type": "list", "elements": "str", "default": []},
}
"""Options that some types of rules have, see docs/network-probe.md."""


@dataclass(frozen=True)
class Rule:
    """A rule. ``options`` has what its type needs; ``timeout`` is in seconds; ``patterns`` of headers are in
    ``headers``."""

    name: str
    type: str
    applies_to: tuple[str, ...] = TARGET_TYPES
    targets: tuple[str, ...] = ()
    timeout: float = 3.0
    weight: int = 1
    remediation: str = ""
    success: Pattern | None = None
    error: Pattern | None = None
    headers: Mapping[str, Pattern] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def layer(self) -> str:
        """The layer that it proves."""
        return LAYER_OF[self.type]

    def applies(self, target: Target) -> bool:
        """Return whether the target is probed by this rule."""
        if self.targets:
            return target.name in self.targets
        return target.type in self.applies_to and (target.type != "network" or self.type == "icmp")

    def ports_of(self, target: Target) -> list[int]:
        """Return the ports of a host or service that this rule asks: its own, else the target's, else the usual one."""
        if self.options["ports"]:
            return list(self.options["ports"])
        endpoint = target.endpoint
        if endpoint.port:
            return [endpoint.port]
        if self.type in _DEFAULT_PORTS:
            return [_DEFAULT_PORTS[self.type]]
        return list(self.options["default_ports"])


def rules_spec() -> dict[str, Any]:
    """Return the option ``rules`` as an argument specification."""
    options = {
        "name": {"type": "str"},
        "type": {"type": "str", "required": True, "choices": list(RULE_TYPES)},
        "applies_to": {"type": "list", "elements": "str", "choices": list(TARGET_TYPES)},
        "targets": {"type": "list", "elements": "str", "default": []},
        "timeout": {"type": "float"},
        "weight": {"type": "int", "default": 1},
        "remediation": {"type": "str", "default": ""},
        "success_pattern": {"type": "str"},
        "error_pattern": {"type": "str"},
        **_OWN,
    }
    return {"type": "list", "elements": "dict", "default": [], "options": options}


def make_rules(wishes: Sequence[Mapping[str, Any]], timeout: float) -> list[Rule]:
    """Return the rules that are wished for, with defaults for what a wish does not say.

    :param timeout: seconds, of rules that have none of their own.
    :raises ValidationError: two have the same name, or one can't be used; nothing was probed then.
    """
    found: dict[str, Rule] = {}
    for number, wish in enumerate(wishes):
        where = f"rules[{number}]"
        kind = wish.get("type")
        if kind not in RULE_TYPES:
            raise ValidationError(f"{where}.type: {kind!r} is not known.", hint=f"Use one of {', '.join(RULE_TYPES)}.")
        rule = _rule(wish, kind, where, timeout)
        if rule.name in found:
            raise ValidationError(
                f"{where}: the name {rule.name!r} was given to another rule.", hint="Give each rule a name of its own."
            )
        found[rule.name] = rule
    return list(found.values())


def rules_for(targets: Sequence[Target], rules: Sequence[Rule]) -> list[tuple[Target, list[Rule]]]:
    """Return each target with the rules that apply to it, the lowest layer first.

    :raises ValidationError: a rule names a target that is not there or can't be probed so, or a target has no rule,
        since it would count as healthy.
    """
    if not rules:
        raise ValidationError("There are no rules.", hint="Give rules or rule_sets.")
    names = {target.name: target for target in targets}
    for rule in rules:
        for name in rule.targets:
            if name not in names:
                raise ValidationError(
                    f"The rule {rule.name!r} names the target {name!r}, which is none of targets.",
                    hint="Use the names of targets.",
                )
            if names[name].type == "network" and rule.type != "icmp":
                raise ValidationError(
                    f"The rule {rule.name!r} has the type {rule.type}, and {name!r} is a network.",
                    hint="Networks are probed by rules of the type icmp.",
                )
    ordered = sorted(rules, key=lambda rule: LAYERS.index(rule.layer))
    pairs = [(target, [rule for rule in ordered if rule.applies(target)]) for target in targets]
    for target, applying in pairs:
        if not applying:
            raise ValidationError(
                f"No rule applies to the target {target.name!r} of the type {target.type}.",
                hint="Add a rule for it, or leave it out.",
            )
        for rule in applying:
            if rule.type in _NEED_PORT and not rule.ports_of(target):
                raise ValidationError(
                    f"The rule {rule.name!r} has no port for the target {target.name!r}.",
                    hint="Give ports of the rule or port of the target.",
                )
    return pairs


def _rule(wish: Mapping[str, Any], kind: str, where: str, timeout: float) -> Rule:
    options = {name: _given(wish, name, option.get("default")) for name, option in _OWN.items()}
    own_timeout = _given(wish, "timeout", timeout)
    weight = _given(wish, "weight", 1)
    _number(where, "timeout", own_timeout, 0.001, 300)
    _number(where, "weight", weight, 1, 100)
    applies_to = tuple(_given(wish, "applies_to", TARGET_TYPES))
    if "network" in applies_to and wish.get("applies_to") and kind != "icmp":
        raise ValidationError(
            f"{where}.applies_to: a rule of the type {kind} can't probe a network.", hint="Use the type icmp."
        )
    _check(options, kind, where)
    headers = {
        str(name).lower(): Pattern(str(text), f"{where}.header_patterns.{name}")
        for name, text in options["header_patterns"].items()
    }
    return Rule(
        name=str(wish.get("name") or kind),
        type=kind,
        applies_to=applies_to,
        targets=tuple(_given(wish, "targets", ())),
        timeout=own_timeout,
        weight=weight,
        remediation=str(wish.get("remediation") or ""),
        success=_pattern(wish, "success_pattern", where),
        error=_pattern(wish, "error_pattern", where),
        headers=headers,
        options=options,
    )


def _given(wish: Mapping[str, Any], name: str, default: Any) -> Any:
    value = wish.get(name)
    return default if value is None else value


def _pattern(wish: Mapping[str, Any], option: str, where: str) -> Pattern | None:
    return Pattern(str(wish[option]), f"{where}.{option}") if wish.get(option) else None


def _check(options: dict[str, Any], kind: str, where: str) -> None:
    for option in ("ports", "default_ports"):
        for port in options[option]:
            _number(where, option, port, 1, 65535)
    if len(options["ports"]) > 1 and kind not in _MANY_PORTS:
        raise ValidationError(f"{where}.ports: a rule of the type {kind} has one.", hint="Give a rule for each port.")
    _number(where, "count", options["count"], 1, 1000)
    _number(where, "interval_ms", options["interval_ms"], 1, 60000)
    _number(where, "size", options["size"], 16, 65000)
    _number(where, "minimum_alive", options["minimum_alive"], 0, 65536)
    _number(where, "max_redirects", options["max_redirects"], 0, 20)
    for warn, fail in (("warn_ms", "fail_ms"), ("warn_loss", "fail_loss"), ("warn_offset_ms", "fail_offset_ms")):
        if options[warn] is not None and options[fail] is not None and options[warn] > options[fail]:
            raise ValidationError(f"{where}.{warn} is over {fail}.", hint="It is the one that is passed first.")
    path = options["path"]
    if path is not None and (not path.startswith("/") or not path.isascii() or any(char <= " " for char in path)):
        raise ValidationError(f"{where}.path: {path!r} is no URL path.", hint="Begin with / and encode blanks.")
    if options["server"] and options["server"] != TARGET_PLACE:
        server = parse_endpoint(options["server"], f"{where}.server")
        if server.scheme:
            raise ValidationError(f"{where}.server: DNS over https is not spoken.", hint="Give an address or a name.")
    for option in ("query", "server_name"):
        if options[option] and options[option] != TARGET_PLACE:
            options[option] = parse_target(options[option], f"{where}.{option}").text
    if kind == "query" and not options["send"] and options["transport"] == "udp":
        raise ValidationError(f"{where}.send is empty.", hint="Nobody answers over UDP unless asked.")
    if kind == "command":
        argv = options["argv"]
        if not argv or not argv[0] or TARGET_PLACE in argv[0]:
            raise ValidationError(f"{where}.argv: the command is missing.", hint="Its first element is the program.")
    elif options["argv"]:
        raise ValidationError(f"{where}.argv is for rules of the type command.", hint="Change type, or leave it out.")


def _number(where: str, option: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValidationError(f"{where}.{option}: {value:g} is out of range.", hint=f"Use {low:g} to {high:g}.")
