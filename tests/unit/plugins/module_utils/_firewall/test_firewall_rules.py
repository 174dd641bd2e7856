# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules as people write them: what is understood, what is refused and how, and that the kernel takes what we make."""

from __future__ import annotations

import ipaddress
import os
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.scripts.toolkit.plugins.module_utils._core.commands import Commands
from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import (
    DependencyError,
    PermissionDenied,
    ValidationError,
)
from ansible_collections.scripts.toolkit.plugins.module_utils._firewall.nft import Completed, Nft, is_ours, nft_error
from ansible_collections.scripts.toolkit.plugins.module_utils._firewall.render import (
    Policies,
    render_file,
    render_table,
)
from ansible_collections.scripts.toolkit.plugins.module_utils._firewall.rules import parse_rules
from ansible_collections.scripts.toolkit.plugins.module_utils._firewall.ruleset import allowed_ports
from ansible_collections.scripts.toolkit.plugins.module_utils._firewall.verdict import accepts


def ports(value: object) -> list[str]:
    return allowed_ports(parse_rules(value))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("80,443,22", ["22/tcp", "80/tcp", "443/tcp"]),
        (" 22 , 80 ", ["22/tcp", "80/tcp"]),
        (22, ["22/tcp"]),
        ("8000-8010", ["8000-8010/tcp"]),
        ("53/udp,53", ["53/tcp", "53/udp"]),
        (["22", 80, "443,8443"], ["22/tcp", "80/tcp", "443/tcp", "8443/tcp"]),
        ([{"port": "53/udp"}, {"ports": [80, "81-90"]}], ["80-90/tcp", "53/udp"]),
        ([{"port": 53, "protocol": "udp"}], ["53/udp"]),
        ("1-5,3-9,10", ["1-10/tcp"]),
        ([{"port": 22, "action": "drop"}, {"port": 25, "direction": "output"}], []),
        ("", []),
        ([], []),
        (None, []),
    ],
)
def test_what_is_understood(value: object, expected: list[str]) -> None:
    assert ports(value) == expected


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("80,99999", "rules: '99999' is not a port"),
        ("htpp", "rules: 'htpp' is not a port"),
        ("80,,443", "rules: '80,,443' is not a list"),
        ("0", "rules: '0' is not a port"),
        ("-5", "is not a port"),
        ("9-5", "rules: '9-5' is not a port range"),
        ("5-99999", "'99999' is not a port (in '5-99999')"),
        ("53/sctp", "rules: '53/sctp' is not a port with a protocol"),
        (True, "rules: True is not a string, number or list"),
        ({"port": 80}, "rules is one rule, not a list"),
        ([22, {"port": "ssh"}], "rules[1].port: 'ssh' is not a port"),
        ([{"prt": 80}], "rules[0]: unknown key prt"),
        ([{"port": 80, "ports": 81}], "both port and ports"),
        ([{"port": []}], "rules[0].port is empty"),
        ([{"port": "53/udp", "protocol": "tcp"}], "contradicts protocol=tcp"),
        ([{"port": 1, "protocol": "icmp"}], "protocol=icmp has no ports"),
        ([{"protocol": "sctp"}], "rules[0].protocol: 'sctp'"),
        ([{"port": 80, "action": "allow"}], "rules[0].action: 'allow'"),
        ([{"port": 80, "direction": "in"}], "rules[0].direction: 'in'"),
        ([{"port": 80, "source": "10.0.0.1/8"}], "rules[0].source: '10.0.0.1/8' is not an address or network"),
        ([{"port": 80, "source": "example.com"}], "rules[0].source: 'example.com'"),
        ([{"port": 80, "source": []}], "rules[0].source is empty"),
        ([{"port": 80, "source": "10.0.0.0/8", "destination": "2001:db8::/32"}], "different IP versions"),
        ([{"port": 80, "interface": 'eth0" accept'}], "is not an interface"),
        ([{"port": 80, "interface": "a-name-that-is-too-long"}], "is not an interface"),
        ([{"port": 80, "limit": "10 per minute"}], "rules[0].limit: '10 per minute' is not a rate"),
        ([{"port": 80, "comment": 'a" accept; drop'}], "rules[0].comment"),
        ([{"port": 80, "log": "x" * 101}], "rules[0].log"),
        ([{"port": 80, "log": "$x"}], "rules[0].log"),
        ([["80", ["x"]]], "rules[0]: 'x' is not a port"),
    ],
)
def test_what_is_refused_names_option_and_value(value: object, named: str) -> None:
    with pytest.raises(ValidationError) as caught:
        parse_rules(value)
    assert named in caught.value.message
    assert caught.value.hint


def test_networks_are_compacted_so_that_nftables_takes_them() -> None:
    (rule,) = parse_rules([{"port": 1, "source": ["10.1.0.0/16", "10.0.0.0/8", "192.0.2.1", "2001:db8::1"]}])
    assert [str(network) for network in rule.sources] == ["10.0.0.0/8", "192.0.2.1/32", "2001:db8::1/128"]


def test_plain_ports_become_one_rule_and_order_is_kept_where_it_matters() -> None:
    rules = parse_rules(["22", "80", {"port": 443}, {"port": 25, "action": "drop"}, "90", "53/udp", "91"])
    assert [(rule.protocol, rule.ports, rule.action) for rule in rules] == [
        ("tcp", ((22, 22), (80, 80), (443, 443)), "accept"),
        ("tcp", ((25, 25),), "drop"),
        ("tcp", ((90, 91),), "accept"),
        ("udp", ((53, 53),), "accept"),
    ]


def test_chains_that_do_nothing_do_not_exist() -> None:
    text = render_table("t", parse_rules("22"), Policies())
    assert "chain input" in text
    assert "chain output" not in text
    assert "chain forward" not in text
    assert "chain forward" in render_table("t", [], Policies(forward="drop"))
    assert "chain output" in render_table("t", parse_rules([{"direction": "output", "port": 1}]), Policies())


def run_command(args, data=None, environ_update=None, cwd=None, **_kwargs):
    """As AnsibleModule.run_command; where this is not root, in a user namespace in which it is."""
    if os.geteuid() != 0 and os.path.basename(args[0]) == "unshare":
        args = [args[0], "--user", "--map-root-user", *args[1:]]
    environment = {**os.environ, **(environ_update or {})}
    done = subprocess.run(args, input=data, env=environment, cwd=cwd, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def canonical(text: str, table: str = "t") -> str:
    return Nft(Commands(run_command), table).canonical(text)


TEXT = st.text(st.sampled_from("abz AZ09!#'()*+,-./:;<=>?@[]^_`{|}~%&"), max_size=100)
PORT = st.integers(1, 65535)
PORT_WORD = st.one_of(PORT.map(str), st.tuples(PORT, PORT).map(lambda pair: f"{min(pair)}-{max(pair)}"))
NETWORK = st.one_of(
    st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)).map(
        lambda pair: str(ipaddress.ip_network(pair, strict=False))
    ),
    st.tuples(st.integers(0, 2**128 - 1), st.integers(0, 128)).map(
        lambda pair: str(ipaddress.IPv6Network(pair, strict=False))
    ),
)
RULE = st.fixed_dictionaries(
    {},
    optional={
        "ports": st.lists(PORT_WORD, min_size=1, max_size=6),
        "source": st.lists(NETWORK, min_size=1, max_size=5),
        "interface": st.lists(st.sampled_from(["lo", "eth0", "wg*", "br-0.1"]), min_size=1, max_size=3),
        "action": st.sampled_from(["accept", "drop", "reject"]),
        "direction": st.sampled_from(["input", "output", "forward"]),
        "limit": st.sampled_from(["1/second", "10/minute burst 20", "5/day"]),
        "log": TEXT,
        "comment": TEXT,
    },
)
POLICY = st.sampled_from(["accept", "drop"])


@settings(max_examples=25)
@given(st.lists(RULE, max_size=8), POLICY, POLICY, POLICY)
def test_the_kernel_takes_every_rule_that_we_take(rules: list[dict], first: str, second: str, third: str) -> None:
    text = render_file("t", render_table("t", parse_rules(rules), Policies(first, second, third)))
    listing = canonical(text)
    assert is_ours(listing)
    # What nft lists can be loaded again and means the same: that is what the rollback loads.
    assert canonical(render_file("t", listing)) == listing


def test_everything_at_once_reads_as_expected() -> None:
    rules = parse_rules(
        [
            "22,80",
            {"port": 5432, "source": ["10.0.0.0/8", "2001:db8::/32"], "limit": "10/minute burst 20", "log": "db"},
            {"port": 25, "action": "reject", "comment": "no mail"},
            {"protocol": "icmp", "source": "192.0.2.1", "action": "drop"},
        ]
    )
    listing = canonical(render_file("t", render_table("t", rules, Policies())))
    expected = [
        'iifname "lo" accept',
        "tcp dport { 22, 80 } accept",
        'ip saddr 10.0.0.0/8 tcp dport 5432 limit rate 10/minute burst 20 packets log prefix "db " accept',
        'ip6 saddr 2001:db8::/32 tcp dport 5432 limit rate 10/minute burst 20 packets log prefix "db " accept',
        'tcp dport 25 reject with tcp reset comment "no mail"',
    ]
    lines = [line.strip() for line in listing.splitlines()]
    assert [line for line in lines if line in expected] == expected
    assert "type filter hook input priority filter; policy drop;" in lines
    assert any("nd-neighbor-solicit" in line for line in lines)


def test_the_trial_changes_nothing_of_this_host() -> None:
    before = os.readlink("/proc/self/ns/net")
    canonical(render_file("t_trial", render_table("t_trial", parse_rules("22"), Policies())), "t_trial")
    assert os.readlink("/proc/self/ns/net") == before
    done = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=False)
    assert "t_trial" not in done.stdout


def test_a_text_that_makes_other_tables_is_refused() -> None:
    text = render_file("t", render_table("t", parse_rules("22"), Policies()))
    with pytest.raises(ValidationError, match="another table"):
        canonical(text + "table ip theirs { }\n")


def test_nft_itself_refuses_what_is_no_rule() -> None:
    with pytest.raises(ValidationError, match="syntax error"):
        canonical("table inet t { chain c { what } }")


@pytest.mark.parametrize(
    ("complaint", "kind"),
    [
        ("netlink.c:62: Unable to initialize Netlink socket: Protocol not supported", DependencyError),
        ("Error: Could not process rule: Operation not supported", DependencyError),
        ("x.nft:3:4-5: Error: Could not process rule: No such file or directory", DependencyError),
        ("Operation not permitted (you must be root)", PermissionDenied),
        ("/dev/stdin:1:1-4: Error: syntax error, unexpected string", ValidationError),
    ],
)
def test_what_nft_says_becomes_the_right_kind_of_error(complaint: str, kind: type[Exception]) -> None:
    assert isinstance(nft_error(Completed(("nft",), 1, "", complaint)), kind)


def verdict(rules: object, peer: str, policies: Policies | None = None, interface: str | None = "eth0") -> bool:
    return accepts(parse_rules(rules), policies or Policies(), 22, peer, "192.0.2.10", interface)


@pytest.mark.parametrize(
    ("rules", "peer", "expected"),
    [
        ("22", "198.51.100.7", True),
        ("80", "198.51.100.7", False),
        ("80", "127.0.0.1", True),
        ("80", "192.0.2.10", True),
        ([{"port": 22, "source": "198.51.100.0/24"}], "198.51.100.7", True),
        ([{"port": 22, "source": "198.51.100.0/24"}], "203.0.113.1", False),
        ([{"port": 22, "action": "drop", "source": "203.0.113.0/24"}, "22"], "203.0.113.1", False),
        ([{"port": 22, "destination": "192.0.2.99"}], "198.51.100.7", False),
        ([{"port": 22, "interface": "eth*"}], "198.51.100.7", True),
        ([{"port": 22, "interface": "wg0"}], "198.51.100.7", False),
        ([{"port": 22, "interface": "wg0", "action": "drop"}, "22"], "198.51.100.7", True),
        ([{"port": 22, "protocol": "udp"}], "198.51.100.7", False),
        ([{"source": "198.51.100.7"}], "198.51.100.7", True),
        ([{"port": "20-30"}], "198.51.100.7", True),
        ([{"port": 22, "direction": "output"}], "198.51.100.7", False),
        ([{"port": 22, "source": "2001:db8::/32"}], "198.51.100.7", False),
    ],
)
def test_who_would_get_in(rules: object, peer: str, expected: bool) -> None:
    assert verdict(rules, peer) is expected


def test_an_unknown_interface_counts_against_letting_in() -> None:
    assert not verdict([{"port": 22, "interface": "eth0"}], "198.51.100.7", interface=None)
    assert not verdict([{"port": 22, "interface": "wg0", "action": "drop"}, 22], "198.51.100.7", interface=None)


def test_the_policy_decides_for_the_rest() -> None:
    assert verdict("80", "198.51.100.7", Policies(input="accept"))
