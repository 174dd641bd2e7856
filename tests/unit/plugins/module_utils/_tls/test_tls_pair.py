# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever happens in the middle, key and certificate at their paths belong together."""

from __future__ import annotations

import json
import os
import resource
import signal
import stat
import subprocess
import sys
import threading

import pytest

from ansible_collections.scripts.toolkit.plugins.module_utils._tls import pair
from ansible_collections.scripts.toolkit.plugins.module_utils._tls.pair import CERT, CHAIN, FILES, FULLCHAIN, KEY

STEPS = ("open", "mkdir", "chmod", "fchmod", "fchown", "fsync", "rename", "symlink", "unlink")


def matches(key: bytes, certificate: bytes) -> bool:
    return key == b"key of " + certificate


def files(which: str) -> dict[str, bytes]:
    certificate = which.encode()
    return {KEY: b"key of " + certificate, CERT: certificate, CHAIN: b"chain", FULLCHAIN: certificate + b"chain"}


def places(tmp_path) -> tuple[str, dict[str, str]]:
    """A store, and paths of which some lie beside it and some elsewhere."""
    store = str(tmp_path / "store" / "site")
    paths = {name: os.path.join(store, name) for name in FILES}
    paths[KEY] = str(tmp_path / "etc" / "private" / "site.key")
    return store, paths


def put(store, paths, which, **kwargs):
    with pair.locked(store):
        pair.install(store, paths, files(which), {"mode": 0o600, "uid": -1, "gid": -1}, matches, **kwargs)


def read(paths) -> dict[str, bytes]:
    return {name: open(path, "rb").read() for name, path in paths.items()}


def die_at(step: int, work) -> bool:
    """Run ``work`` in a child that kills itself with SIGKILL before its n-th change; return whether it got there."""
    child = os.fork()
    if child == 0:
        left = [step]

        def deadly(function):
            def call(*args, **kwargs):
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*args, **kwargs)

            return call

        for name in STEPS:
            setattr(os, name, deadly(getattr(os, name)))
        try:
            work()
        finally:
            os._exit(0)
    _pid, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def test_the_paths_show_what_was_installed(tmp_path):
    store, paths = places(tmp_path)
    put(store, paths, "one")
    assert read(paths) == files("one")
    assert stat.S_IMODE(os.stat(paths[KEY]).st_mode) == 0o600
    assert pair.shown(store, paths) == (files("one"), True)


def test_only_the_version_in_service_is_kept(tmp_path):
    store, paths = places(tmp_path)
    for which in ("one", "two", "three"):
        put(store, paths, which)
    assert read(paths) == files("three")
    assert len([name for name in os.listdir(store) if os.path.isdir(os.path.join(store, name))]) == 2  # and "current"


def test_a_key_is_0600_from_its_first_byte_whatever_the_umask(tmp_path):
    before = os.umask(0)
    seen = []
    real = os.fchmod
    try:
        os.fchmod = lambda descriptor, mode: (
            seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode)),
            real(descriptor, mode),
        )
        pair.create_private(str(tmp_path / "key"), b"secret", 0o640)
    finally:
        os.fchmod = real
        os.umask(before)
    assert seen == [0o600]
    assert stat.S_IMODE(os.stat(tmp_path / "key").st_mode) == 0o640


def test_a_file_that_is_there_is_not_written_into(tmp_path):
    (tmp_path / "victim").write_text("old")
    os.symlink(tmp_path / "victim", tmp_path / "key")
    with pytest.raises(FileExistsError):
        pair.create_private(str(tmp_path / "key"), b"secret")
    assert (tmp_path / "victim").read_text() == "old"


def test_files_that_stood_there_before_are_kept(tmp_path):
    store, paths = places(tmp_path)
    os.makedirs(os.path.dirname(paths[KEY]))
    os.makedirs(store)
    for name, data in files("bought").items():
        with open(paths[name], "wb") as handle:
            handle.write(data)
    put(store, paths, "ours")
    put(store, paths, "ours again")
    assert read(paths) == files("ours again")
    (found,) = [name for name in os.listdir(store) if name.startswith("found-")]
    assert {name: open(os.path.join(store, found, name), "rb").read() for name in FILES} == files("bought")
    assert stat.S_IMODE(os.stat(os.path.join(store, found, KEY)).st_mode) == 0o600


@pytest.mark.parametrize("start", ["nothing", "ours", "plain files", "moved"])
def test_a_crash_at_any_step_leaves_the_old_or_the_new_pair(tmp_path, start):
    steps, outcomes = 0, set()
    while True:
        steps += 1
        home = tmp_path / str(steps)
        store, paths = places(home)
        if start == "ours":
            put(store, paths, "old")
        elif start == "plain files":
            for name, data in files("old").items():
                os.makedirs(os.path.dirname(paths[name]), exist_ok=True)
                with open(paths[name], "wb") as handle:
                    handle.write(data)
        elif start == "moved":
            put(store, paths, "old")
            paths = {**paths, CERT: str(home / "elsewhere.pem")}
        killed = die_at(steps, lambda store=store, paths=paths: put(store, paths, "new"))
        shown = {name: open(paths[name], "rb").read() for name in (KEY, CERT) if os.path.exists(paths[name])}
        if KEY in shown and CERT in shown:
            assert shown in ({name: files(which)[name] for name in (KEY, CERT)} for which in ("old", "new")), steps
            outcomes.add(shown[CERT])
        else:
            assert start in ("nothing", "moved"), steps
        put(store, paths, "after")  # and the next run is not in its way
        assert read(paths) == files("after")
        if not killed:
            break
    assert steps > 20
    assert b"new" in outcomes
    assert (b"old" in outcomes) == (start in ("ours", "plain files"))


def test_the_debt_is_noted_before_the_new_files_are_visible(tmp_path):
    store, paths = places(tmp_path)
    put(store, paths, "old")
    seen = []
    put(store, paths, "new", before_switch=lambda: seen.append(read(paths)))
    assert seen == [files("old")]


def test_a_failure_before_the_switch_changes_nothing(tmp_path):
    store, paths = places(tmp_path)
    put(store, paths, "old")

    def fail():
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        put(store, paths, "new", before_switch=fail)
    assert read(paths) == files("old")


def test_a_full_disk_leaves_the_old_pair_and_nothing_half_written(tmp_path):
    store, paths = places(tmp_path)
    put(store, paths, "old")
    before = sorted(os.listdir(store))
    child = os.fork()
    if child == 0:
        # No file may grow beyond 3 bytes: the first write fails in the middle, as on a full disk.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3, 3))
        try:
            put(store, paths, "new")
        except OSError:
            os._exit(7)
        finally:
            os._exit(0)
    _pid, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 7
    assert read(paths) == files("old")
    assert sorted(os.listdir(store)) == before


def test_a_reader_of_the_version_never_sees_a_mixture(tmp_path):
    store, paths = places(tmp_path)
    put(store, paths, "0")
    stop, mixtures, reads = threading.Event(), [], [0]

    def reader():
        while not stop.is_set():
            version = os.path.join(store, os.readlink(os.path.join(store, "current")))
            try:
                found = {name: open(os.path.join(version, name), "rb").read() for name in (KEY, CERT)}
            except FileNotFoundError:
                continue  # it was replaced meanwhile, as a whole
            reads[0] += 1
            if not matches(found[KEY], found[CERT]):
                mixtures.append(found)

    thread = threading.Thread(target=reader)
    thread.start()
    for which in range(1, 40):
        put(store, paths, str(which))
    stop.set()
    thread.join()
    assert reads[0] > 0
    assert mixtures == []


def hook(tmp_path, lineage, **changes):
    """Run the file as certbot's hook does."""
    store, paths = places(tmp_path)
    page = {
        "store": store,
        "paths": paths,
        "mode": 0o640,
        "uid": os.getuid(),
        "gid": os.getgid(),
        "units": {"nginx.service": "reload", "mail.service": "restart"},
        "owed": str(tmp_path / "owed"),
        **changes,
    }
    (tmp_path / "pages").mkdir(exist_ok=True)
    (tmp_path / "pages" / "site.json").write_text(json.dumps(page))
    done = subprocess.run(
        [sys.executable, "-I", pair.__file__, str(tmp_path / "pages"), str(lineage)],
        capture_output=True,
        text=True,
        check=False,
    )
    return paths, done


def test_the_hook_installs_a_renewed_lineage_and_says_what_to_reload(tmp_path):
    lineage = tmp_path / "live" / "site"
    lineage.mkdir(parents=True)
    for name, data in files("renewed").items():
        (lineage / name).write_bytes(data)
    (tmp_path / "owed").mkdir()
    (tmp_path / "owed" / "nginx.service").write_text("restart")
    paths, done = hook(tmp_path, lineage)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["reload nginx.service", "restart mail.service"]
    assert read(paths) == files("renewed")
    assert stat.S_IMODE(os.stat(paths[KEY]).st_mode) == 0o640
    owed = {name: (tmp_path / "owed" / name).read_text() for name in os.listdir(tmp_path / "owed")}
    assert owed == {"nginx.service": "restart", "mail.service": "restart"}


def test_the_hook_never_lets_others_read_the_key(tmp_path):
    lineage = tmp_path / "live" / "site"
    lineage.mkdir(parents=True)
    for name, data in files("renewed").items():
        (lineage / name).write_bytes(data)
    paths, _done = hook(tmp_path, lineage, mode=0o666)
    assert stat.S_IMODE(os.stat(paths[KEY]).st_mode) == 0o660


def test_the_hook_leaves_other_certificates_alone_and_refuses_half_of_one(tmp_path):
    _paths, other = hook(tmp_path, tmp_path / "live" / "not-ours")
    assert (other.returncode, other.stdout) == (0, "")
    (tmp_path / "live" / "site").mkdir(parents=True)
    (tmp_path / "live" / "site" / KEY).write_bytes(b"only a key")
    paths, half = hook(tmp_path, tmp_path / "live" / "site")
    assert half.returncode != 0
    assert "cert.pem" in half.stderr
    assert not os.path.exists(paths[KEY])
