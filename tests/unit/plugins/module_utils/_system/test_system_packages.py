# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Package requests, versions, and what dpkg and apt say; the programs are real where they can be."""

from __future__ import annotations

import functools
import os
import re
import signal
import subprocess
import sys
import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.scripts.toolkit.plugins.module_utils._core.commands import Commands, Completed
from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import (
    ConflictError,
    TimeoutExpired,
    UnsafeError,
    ValidationError,
)
from ansible_collections.scripts.toolkit.plugins.module_utils._system import packages
from ansible_collections.scripts.toolkit.plugins.module_utils._system.apt import classify, parse_simulation
from ansible_collections.scripts.toolkit.plugins.module_utils._system.debian_version import (
    compare_versions,
    version_matches,
)
from ansible_collections.scripts.toolkit.plugins.module_utils._system.dpkg import Dpkg, parse_status
from ansible_collections.scripts.toolkit.plugins.module_utils._system.package_requests import Request, read_requests
from ansible_collections.scripts.toolkit.plugins.module_utils._system.package_solver import Solver
from ansible_collections.scripts.toolkit.plugins.module_utils._system.packages import Packages

HERE = "ansible_collections.scripts.toolkit.plugins.module_utils._system"


class Recorder:
    """Runs the real programs and notes how they were called."""

    def __init__(self):
        self.calls = []

    def __call__(self, args, data=None, environ_update=None, cwd=None, **_):
        self.calls.append(args)
        environment = {**os.environ, **(environ_update or {})}
        done = subprocess.run(args, input=data, capture_output=True, text=True, env=environment, cwd=cwd, check=False)
        return done.returncode, done.stdout, done.stderr


# Versions

versions = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "0:", "1:", "12:"]),
    st.integers(0, 20),
    st.text("0123456789aB.+~", max_size=6),
    st.sampled_from(["", "-0", "-1", "-1~bpo12+1", "-2+b1", "-10", "-deb12u3"]),
)


@settings(max_examples=150)
@given(versions, versions)
def test_versions_are_ordered_as_dpkg_does(one, other):
    def dpkg(relation):
        return subprocess.run(["dpkg", "--compare-versions", one, relation, other], check=False).returncode == 0

    assert compare_versions(one, other) == (-1 if dpkg("lt") else 1 if dpkg("gt") else 0)


@pytest.mark.parametrize(
    ("version", "wanted", "answer"),
    [("1.22.1-9", "1.22*", True), ("1.22.1-9", "1.22", False), ("1.22.1-9", "1.22.1-9", True), ("2.1", "1*", False)],
)
def test_a_version_may_be_a_pattern(version, wanted, answer):
    assert version_matches(version, wanted) is answer


# Requests


def test_entries_for_the_same_package_are_merged():
    found = read_requests(
        ["nginx", {"name": "nginx", "state": "latest"}, "nginx", {"name": "sl", "version": "5*"}, "sl"]
    )
    assert found == [Request("nginx", "latest"), Request("sl", "present", "5*")]


def test_a_state_for_all_counts_for_entries_without_one():
    assert read_requests(["a1", {"name": "b1", "state": "present"}], "absent") == [
        Request("a1", "absent"),
        Request("b1"),
    ]


def test_the_short_form_with_a_version():
    assert read_requests(["nginx=1.22*", "libc6:i386"]) == [Request("nginx", "present", "1.22*"), Request("libc6:i386")]


@pytest.mark.parametrize(
    ("packages", "place"),
    [
        (["ok", "Nginx"], "packages[1]"),
        (["tk-*"], "packages[0]"),
        (["nginx-"], "packages[0]"),
        ([{"name": "nginx", "versoin": "1"}], "versoin"),
        ([{"name": "nginx", "state": "installed"}], "installed"),
        ([{"name": "nginx", "state": "absent", "version": "1"}], "version"),
        ([{"name": "nginx", "version": "1; rm"}], "packages[0]"),
        ([{}], "packages[0]"),
        ([7], "packages[0]"),
        (["-oDir=/tmp"], "packages[0]"),
    ],
)
def test_entries_that_make_no_sense_are_named(packages, place):
    with pytest.raises(ValidationError, match=re.escape(place)):
        read_requests(packages)


@pytest.mark.parametrize(
    "packages",
    [
        ["nginx", {"name": "nginx", "state": "absent"}],
        [{"name": "nginx", "state": "absent"}, "nginx"],
        ["nginx=1", "nginx=2"],
        ["nginx=1", {"name": "nginx", "state": "latest"}],
    ],
)
def test_contradictions_are_refused(packages):
    with pytest.raises(ConflictError, match="nginx is wanted twice"):
        read_requests(packages)


# dpkg

STATUS = "\n".join(
    "\t".join(row)
    for row in [
        ("dpkg", "amd64", "1.21", "ii ", "yes", "no", ""),
        ("libc6", "amd64", "2.36", "ii ", "no", "no", ""),
        ("libc6", "i386", "2.36", "ii ", "no", "no", ""),
        ("mawk", "amd64", "1.3", "ii ", "no", "no", "awk, other (= 2)"),
        ("held", "all", "1", "hi ", "no", "no", ""),
        ("half", "all", "1", "iHR", "no", "no", ""),
        ("triggers", "all", "1", "it ", "no", "no", ""),
        ("conf", "all", "1", "rc ", "no", "no", "thing"),
        ("never", "all", "", "un ", "no", "no", ""),
    ]
)


@pytest.mark.parametrize(
    ("request_", "fulfilled"),
    [
        (Request("libc6"), True),
        (Request("libc6:i386"), True),
        (Request("libc6:arm64"), False),
        (Request("awk"), True),
        (Request("thing"), False),
        (Request("half"), False),
        (Request("triggers"), True),
        (Request("conf"), False),
        (Request("never"), False),
        (Request("libc6", "present", "2.3*"), True),
        (Request("libc6", "present", "2.4"), False),
        (Request("half", "absent"), False),
        (Request("conf", "absent"), True),
        (Request("awk", "absent"), True),
    ],
)
def test_what_is_there_is_seen(request_, fulfilled):
    assert request_.fulfilled(parse_status(STATUS, "amd64")) is fulfilled


def test_purging_sees_configuration_that_is_left():
    assert not Request("conf", "absent").fulfilled(parse_status(STATUS, "amd64"), purge=True)


def test_what_was_interrupted_is_seen():
    assert parse_status(STATUS, "amd64").interrupted == ["half", "triggers"]


@pytest.fixture
def database(tmp_path):
    """A dpkg database of its own: one package installed, one left half-way."""
    (tmp_path / "updates").mkdir()
    (tmp_path / "info").mkdir()
    (tmp_path / "status").write_text(
        textwrap.dedent("""\
            Package: dpkg
            Status: install ok installed
            Maintainer: Test <test@example.com>
            Architecture: amd64
            Version: 1.21
            Description: test

            Package: sample
            Status: install ok unpacked
            Maintainer: Test <test@example.com>
            Architecture: amd64
            Version: 2
            Description: test

        """)
    )
    return tmp_path


def test_the_real_dpkg_query_is_understood(database):
    runner = Recorder()
    found = Dpkg(Commands(runner), directory=str(database)).installed()
    assert (found.native, found.interrupted, found.versions()) == ("amd64", ["sample"], {"dpkg": "1.21"})
    assert found.versions(unfinished=True) == {"dpkg": "1.21", "sample": "2"}
    assert len(runner.calls) == 1


def test_a_journal_that_was_not_merged_is_an_interruption(database):
    dpkg = Dpkg(Commands(Recorder()), directory=str(database))
    text = (database / "status").read_text().replace("unpacked", "installed")
    (database / "status").write_text(text)
    assert not dpkg.interrupted(dpkg.installed())
    (database / "updates" / "0001").touch()
    assert dpkg.interrupted(dpkg.installed())


def test_another_package_manager_is_waited_for_and_then_named(database):
    lock = database / "lock-frontend"
    holder = (
        f"import fcntl, time\nfile = open({str(lock)!r}, 'w')\nfcntl.lockf(file, fcntl.LOCK_EX)\n"
        "print(1, flush=True)\ntime.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", holder], stdout=subprocess.PIPE) as process:
        try:
            process.stdout.readline()
            waits = []
            dpkg = Dpkg(Commands(Recorder()), lock_timeout=0.01, directory=str(database), sleep=waits.append)
            with pytest.raises(TimeoutExpired, match="lock-frontend"), dpkg.locked():
                pytest.fail("got the lock of somebody else")

            def give_up(_seconds):
                process.kill()
                process.wait()

            patient = Dpkg(Commands(Recorder()), lock_timeout=30, directory=str(database), sleep=give_up)
            with patient.locked():
                assert process.returncode == -signal.SIGKILL
        finally:
            process.kill()


@pytest.fixture
def host(database, monkeypatch):
    """A host whose packages are those of the database, all of them configured."""
    (database / "status").write_text((database / "status").read_text().replace("unpacked", "installed"))
    monkeypatch.setattr(packages, "Dpkg", functools.partial(Dpkg, directory=str(database)))
    monkeypatch.setattr(packages.Apt, "states", str(database / "extended_states"))
    return database


def test_nothing_to_do_takes_one_call(host):
    runner = Recorder()
    result = Packages(Commands(runner), ["dpkg", "sample=2*", {"name": "gone", "state": "absent"}]).apply()
    assert not result["changed"]
    assert result["installed"] == {"dpkg": "1.21", "sample": "2"}
    assert [os.path.basename(call[0]) for call in runner.calls] == ["dpkg-query"]


def test_what_came_only_as_a_dependency_is_predicted_to_be_marked(host):
    (host / "extended_states").write_text("Package: sample\nArchitecture: amd64\nAuto-Installed: 1\n\n")
    runner = Recorder()
    result = Packages(Commands(runner), ["dpkg", "sample"]).apply(check_mode=True)
    assert [outcome["action"] for outcome in result["outcomes"]] == [None, "mark manual"]
    assert len(runner.calls) == 1


# apt


def ended(rc, out="", err=""):
    return Completed(("apt-get",), rc, textwrap.dedent(out), textwrap.dedent(err))


def test_a_simulation_is_read():
    steps = parse_simulation(
        ended(
            0,
            """\
            The following NEW packages will be installed:
            Inst nginx-common (1.22.1-9+deb12u10 Debian-Security:12/oldstable-security [all])
            Inst tzdata [2026f-0] (2026b-0 Debian:12.15/oldstable [all]) []
            Remv libssl3 [3.0.22-1]
            Purg libfoo:i386 [1]
            Conf nginx-common (1.22.1-9+deb12u10 Debian-Security:12/oldstable-security [all])
            """,
        )
    ).steps
    assert [(step.verb, step.name, step.before, step.after) for step in steps] == [
        ("Inst", "nginx-common", None, "1.22.1-9+deb12u10"),
        ("Inst", "tzdata", "2026f-0", "2026b-0"),
        ("Remv", "libssl3", "3.0.22-1", None),
        ("Purg", "libfoo:i386", "1", None),
    ]


def test_all_that_apt_complains_of_is_named_at_once():
    blamed = parse_simulation(
        ended(
            100,
            """\
            Package mail-transport-agent is a virtual package provided by:
              postfix 3.7.11-0+deb12u1
              dma 0.13-1+b1

            """,
            """\
            E: Unable to locate package nope1
            E: Unable to locate package php8.2-fpm
            E: Couldn't find any package by glob 'php8.2-fpm'
            E: Version '3' for 'nginx' was not found
            E: Package 'mail-transport-agent' has no installation candidate
            """,
        )
    ).blamed
    assert sorted(blamed) == ["mail-transport-agent", "nginx", "nope1", "php8.2-fpm"]
    assert {error.kind for error in blamed.values()} == {"not_found"}
    assert "dma, postfix" in blamed["mail-transport-agent"].hint


@pytest.mark.parametrize(
    ("said", "kind", "says"),
    [
        (
            "E: You don't have enough free space in /var/cache/apt/archives/.\n",
            "unavailable",
            "/var/cache/apt/archives",
        ),
        (
            (
                "dpkg: error processing archive /var/cache/apt/archives/figlet_2.2.5-3_amd64.deb (--unpack):\n"
                " cannot copy extracted data for './x' to './y': failed to write (No space left on device)\n"
            ),
            "unavailable",
            "space",
        ),
        (
            "E: Failed to fetch http://127.0.0.1:9/debian/dists/bookworm/InRelease  Could not connect to 127.0.0.1:9\n",
            "unavailable",
            "http://127.0.0.1:9/debian/dists/bookworm/InRelease",
        ),
        ("E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 7 (apt)\n", "timeout", "process 7"),
        ("E: The repository 'http://x y InRelease' is not signed.\n", "integrity", "not signed"),
        (
            (
                "E: Could not open lock file /var/lib/dpkg/lock-frontend - open (13: Permission denied)\n"
                "E: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), are you root?\n"
            ),
            "permission",
            "Permission denied",
        ),
        (
            (
                "dpkg: error processing package tk-b (--configure):\n installed tk-b package post-installation script"
                " subprocess returned error exit status 3\n"
            ),
            "conflict",
            "tk-b: installed tk-b package",
        ),
        ("E: Unable to correct problems, you have held broken packages.\n", "conflict", "held broken"),
        ("E: something new\n", "unavailable", "something new"),
    ],
)
def test_what_apt_says_gets_its_kind(said, kind, says):
    error = classify(ended(100, err=said))
    assert (error.kind, says in error.message) == (kind, True)


class ScriptedApt:
    """Answers simulations from a function of the arguments."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = []

    def simulate(self, arguments):
        self.asked.append(list(arguments))
        return parse_simulation(self.answer(list(arguments)))


def solver(answer, allow=(), purge=False):
    return Solver(ScriptedApt(answer), parse_status(STATUS, "amd64"), allow, purge, fix=False)


@pytest.mark.parametrize(
    ("line", "allow", "says"),
    [
        ("Remv libc6 [2.36]", "removals", "also remove libc6"),
        ("Remv dpkg [1.21]", "essential", "remove dpkg"),
        ("Inst libc6 [2.36] (2.31 Debian [amd64])", "downgrade", "downgrade libc6 from 2.36 to 2.31"),
        ("Inst held [1] (2 Debian [all])", "held", "change held"),
    ],
)
def test_dangers_are_refused_unless_allowed(line, allow, says):
    verdict = solver(lambda _arguments: ended(0, f"{line}\n")).examine([Request("new")])
    assert not verdict.clean
    assert says in verdict.error.message
    assert allow in verdict.error.hint
    allowed = {allow, "removals"} if allow == "essential" else {allow}
    assert solver(lambda _arguments: ended(0, f"{line}\n"), allowed).examine([Request("new")]).clean


def test_what_is_asked_to_go_may_go():
    assert solver(lambda _arguments: ended(0, "Remv mawk [1.3]\n")).examine([Request("mawk", "absent")]).clean


def test_an_essential_package_is_not_even_asked_for():
    verdict = solver(lambda _arguments: ended(0, "")).examine([Request("dpkg", "absent")])
    assert isinstance(verdict.blamed["dpkg"], UnsafeError)


def test_the_culprit_of_a_conflict_is_found():
    def answer(arguments):
        if "foe" in arguments and len(arguments) > 1:
            text = (
                "The following packages have unmet dependencies:\n victim : Depends: base but it is not installable\n"
            )
            return ended(100, text, "E: Unable to correct problems, you have held broken packages.\n")
        return ended(0, "Remv libc6 [2.36]\n" if "foe" in arguments else "")

    requests = [Request("victim"), Request("foe"), Request("other")]
    judge = solver(answer)
    refused = judge.refused(requests, judge.examine(requests))
    assert {name: error.kind for name, error in refused.items()} == {"foe": "unsafe"}


def test_who_exclude_each_other_are_both_told():
    def answer(arguments):
        if {"chrony", "ntpsec"} <= set(arguments):
            text = "Unmet:\n chrony : Conflicts: time-daemon\n ntpsec : Conflicts: time-daemon\n"
            return ended(100, text, "E: Error, pkgProblemResolver::Resolve generated breaks\n")
        return ended(0)

    requests = [Request("chrony"), Request("ntpsec"), Request("other")]
    judge = solver(answer)
    refused = judge.refused(requests, judge.examine(requests))
    assert sorted(refused) == ["chrony", "ntpsec"]
