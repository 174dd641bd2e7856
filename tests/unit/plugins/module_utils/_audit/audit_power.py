# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A disk that loses its power: it knows what of a directory was made durable, and what a machine would find after that.

Strictly as POSIX has it: the bytes of a file are durable as they were at its last fsync, its name from the fsync of the
directory on. What was not made durable may be there or not, so several outcomes are given.
"""

from __future__ import annotations

import os
import stat

from audit_store import in_child, waited

OUTCOMES = ("nothing more", "names but no data", "data but no names", "names and half the data")


def with_power_losses(origin, images, run, label=lambda: "", outcomes=OUTCOMES):
    """Call ``run()`` in a process and write to ``images`` what a power loss before each of its file operations would
    leave of ``origin``, in directories named ``<operation>-<outcome>-<label>``; return their names."""
    images.mkdir()

    def live():
        inside = []

        def at(point):
            if not inside:  # making the images is no part of the work
                inside.append(point)
                for number, outcome in enumerate(outcomes):
                    disk.after_power_loss(images / f"{point}-{number}-{label()}", outcome)
                inside.clear()

        disk = Disk(origin, at)
        disk.install()
        run()
        os._exit(0)

    assert waited(in_child(live)) == 0
    names = sorted(os.listdir(images))
    assert len(names) > 80 * len(outcomes)
    return names


class Disk:
    """Follows the file operations of this process below ``root``; call ``at(point)`` before each of them."""

    def __init__(self, root, at):
        self.root = os.fspath(root)
        self.point = 0
        self._at = at
        self._files = {}
        self._folders = {}
        self._kept = {}  # an open descriptor of everything ever seen: inode numbers are not used again then
        self._real = {name: getattr(os, name) for name in ("open", "fsync", "fdatasync", "mkdir")}
        for folder, _folders, files in os.walk(self.root):
            self._keep(self._real["open"](folder, os.O_RDONLY))
            self._folders[os.stat(folder).st_ino] = self._names(folder)
            for name in files:
                descriptor = self._real["open"](os.path.join(folder, name), os.O_RDONLY)
                self._keep(descriptor)
                self._files[os.fstat(descriptor).st_ino] = self._content(descriptor)

    def _keep(self, descriptor):
        self._kept.setdefault(os.fstat(descriptor).st_ino, descriptor)

    @staticmethod
    def _names(folder):
        with os.scandir(folder) as found:
            return {entry.name: (entry.inode(), entry.is_dir()) for entry in found}

    @staticmethod
    def _content(descriptor):
        size = os.fstat(descriptor).st_size
        with open(f"/proc/self/fd/{descriptor}", "rb") as handle:
            return handle.read(size)

    def install(self):
        """Begin to follow. There is no way back: for a process that ends afterwards."""
        for name in ("write", "ftruncate", "truncate", "rename", "unlink", "rmdir", "link"):
            setattr(os, name, self._counted(getattr(os, name)))
        os.fsync = self._counted(lambda descriptor: self._sync(self._real["fsync"], descriptor))
        os.fdatasync = self._counted(lambda descriptor: self._sync(self._real["fdatasync"], descriptor))
        os.open = self._counted(self._open)
        os.mkdir = self._counted(self._mkdir)

    def _counted(self, real):
        def call(*args, **kwargs):
            self.point += 1
            self._at(self.point)
            return real(*args, **kwargs)

        return call

    def _sync(self, real, descriptor):
        real(descriptor)
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            self._folders[found.st_ino] = self._names(f"/proc/self/fd/{descriptor}")
        else:
            self._files[found.st_ino] = self._content(descriptor)

    def _open(self, path, flags, *args, **kwargs):
        descriptor = self._real["open"](path, flags, *args, **kwargs)
        if flags & os.O_CREAT:
            self._keep(os.dup(descriptor))
        return descriptor

    def _mkdir(self, path, *args, **kwargs):
        self._real["mkdir"](path, *args, **kwargs)
        self._keep(self._real["open"](path, os.O_RDONLY))

    def after_power_loss(self, target, outcome):
        """Write to ``target`` what would be found after the power went at this moment."""
        self._restore(os.stat(self.root).st_ino, os.fspath(target), outcome)

    def _restore(self, inode, target, outcome):
        self._real["mkdir"](target, 0o700)
        if outcome.startswith("names"):
            names = self._names(f"/proc/self/fd/{self._kept[inode]}")
        else:
            names = self._folders.get(inode, {})
        for name, (child, is_folder) in names.items():
            path = os.path.join(target, name)
            if is_folder:
                self._restore(child, path, outcome)
                continue
            data = self._files.get(child, b"")
            if outcome != "nothing more" and outcome != "names but no data":
                there = self._content(self._kept[child])
                half = there[: (len(data) + len(there)) // 2] if there.startswith(data) else data
                data = half if outcome.endswith("half the data") else there
            with open(path, "wb") as handle:
                handle.write(data)
