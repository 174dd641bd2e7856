# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Debian root file systems: built once by mmdebstrap, then shared read-only by all hosts of a suite."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable

from ...module_utils._core.commands import Commands
from ...module_utils._core.errors import ToolkitError, UnavailableError, ValidationError
from ...module_utils._core.files import read_bytes, write_atomic
from .layout import SUITES, Layout, exclusive, exclusive_if_free

__all__ = ["FORMAT", "PACKAGES", "Images", "image_key", "mirrors", "remove_tree", "sources"]

FORMAT = 3
"""Raise it when the way an image is made changes; every image is built anew then."""

PACKAGES = (
    "ca-certificates",
    "dbus",
    "iproute2",
    "nftables",
    "openssh-server",
    "procps",
    "python3",
    "systemd",
    "systemd-sysv",
)

_MAXIMUM_AGE = 14 * 86400
"""Seconds after which an image is built anew for Debian's updates, if the mirror answers."""
_UNUSED_AGE = 14 * 86400
"""Seconds after which an image that no host used is removed."""

_DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL")

_CERTIFICATES = "/usr/local/share/ca-certificates"


def mirrors() -> tuple[str, str]:
    """Return the base URLs of the Debian archive and its security archive.

    TOOLKIT_DEBIAN_MIRROR and TOOLKIT_DEBIAN_SECURITY_MIRROR override Debian's own.

    :raises ValidationError: one is no http or https URL.
    """
    found = []
    for variable, default in (
        ("TOOLKIT_DEBIAN_MIRROR", "http://deb.debian.org/debian"),
        ("TOOLKIT_DEBIAN_SECURITY_MIRROR", "http://deb.debian.org/debian-security"),
    ):
        url = (os.environ.get(variable) or default).rstrip("/")
        if not url.startswith(("http://", "https://")) or any(c.isspace() for c in url):
            raise ValidationError(f"{variable}={url!r} is not an http or https URL.")
        found.append(url)
    return found[0], found[1]


def sources(suite: str, archive: str, security: str) -> list[str]:
    """Return the lines of sources.list for ``suite``."""
    return [
        f"deb {archive} {suite} main",
        f"deb {archive} {suite}-updates main",
        f"deb {security} {suite}-security main",
    ]


def _certificates() -> dict[str, bytes]:
    found = {}
    for path in sorted(glob.glob(os.path.join(_CERTIFICATES, "**", "*.crt"), recursive=True)):
        found[os.path.relpath(path, _CERTIFICATES)] = read_bytes(path) or b""
    return found


def image_key(suite: str, lines: list[str], certificates: dict[str, bytes]) -> str:
    """Return the name of the image made from all that goes into it."""
    digest = hashlib.sha256()
    certs = {name: hashlib.sha256(data).hexdigest() for name, data in certificates.items()}
    digest.update(json.dumps([FORMAT, suite, sorted(PACKAGES), lines, certs], sort_keys=True).encode())
    return f"{suite}-{digest.hexdigest()[:12]}"


def remove_tree(path: str, commands: Commands) -> None:
    """Remove the directory ``path`` with all below it, after unmounting whatever is mounted there.

    A mount that does not go is left alone with everything below: deleting through it would reach what it shows.

    :raises UnavailableError: such a mount is left.
    """
    path = os.path.realpath(path)

    def mounted() -> list[str]:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as handle:
            points = [line.split()[4].replace("\\040", " ") for line in handle]
        return sorted((point for point in points if f"{point}/".startswith(f"{path}/")), reverse=True)

    for point in mounted():
        commands.run(["umount", point]).ok or commands.run(["umount", "--lazy", point])
    if mounted():
        raise UnavailableError(f"{mounted()[0]} is still mounted, so {path} was not removed.", hint="Unmount it.")
    if os.path.isdir(path):
        shutil.rmtree(path)


class Images:
    """The cache of root file systems below ``layout.images``.

    :param apt_options: lines of apt.conf for the build (proxy, relaxed date checks).
    :param progress: is told, in a sentence, when something takes long.
    """

    def __init__(
        self, layout: Layout, commands: Commands, apt_options: list[str], progress: Callable[[str], None]
    ) -> None:
        self._layout = layout
        self._commands = commands
        self._apt_options = apt_options
        self._progress = progress

    def provide(self, suite: str) -> str:
        """Return the directory of the image of ``suite``, building it if needed (20 to 50 s the first time).

        :raises ToolkitError: there is no image and the build failed.
        """
        archive, security = mirrors()
        lines = sources(suite, archive, security)
        certificates = _certificates()
        image = os.path.join(self._layout.images, image_key(suite, lines, certificates))
        with exclusive(os.path.join(self._layout.images, f"{suite}.lock")):
            self._remove_remains(suite)
            if not os.path.isdir(image):
                self._progress(f"Building the root file system of {suite} with mmdebstrap (once; about a minute)...")
                self._build(suite, lines, certificates, image)
            elif time.time() - self.built(image) > _MAXIMUM_AGE:
                image = self._renew(suite, lines, certificates, image)
            os.utime(image)
        return image

    @staticmethod
    def built(image: str) -> float:
        """Return when the image was built, in seconds since the epoch."""
        return os.stat(os.path.join(image, "built")).st_mtime

    def _renew(self, suite: str, lines: list[str], certificates: dict[str, bytes], image: str) -> str:
        """Build an old image anew beside the old one, which running hosts still use."""
        self._progress(f"Renewing the root file system of {suite}, which is older than {_MAXIMUM_AGE // 86400} days...")
        old = f"{image}.{int(self.built(image))}"
        fresh = f"{image}.new"
        try:
            self._build(suite, lines, certificates, fresh)
        except ToolkitError as error:
            self._progress(f"The mirror gave no new one ({error.message}); the old one is used.")
            return image
        os.rename(image, old)
        os.rename(fresh, image)
        return image

    def _build(self, suite: str, lines: list[str], certificates: dict[str, bytes], image: str) -> None:
        remove_tree(image, self._commands)  # Of a renewal that was killed.
        place = tempfile.mkdtemp(prefix=f".build-{suite}-", dir=self._layout.images)
        root = os.path.join(place, "root")
        try:
            # dpkg would wait for the disk after each file; a build that is cut short is thrown away whole.
            options = ["--dpkgopt=force-unsafe-io", *(f"--aptopt={option}" for option in self._apt_options)]
            # In namespaces of its own that die with this process: kill -9 leaves no mount and no apt behind.
            self._commands.check(
                [*_DIES_WITH_US, "unshare", "--mount", "--pid", "--fork", "--kill-child",
                 "--propagation", "private", "--mount-proc",
                 "mmdebstrap", "--mode=root", "--variant=minbase", "--quiet", f"--include={','.join(PACKAGES)}",
                 # The lists stay: a host made from a fresh image installs packages without an apt-get update.
                 "--skip=cleanup/apt/lists",
                 *options, suite, root, *lines],
                hint="Does the mirror answer? TOOLKIT_DEBIAN_MIRROR names another one.",
                env={"TMPDIR": place},
            )  # fmt: skip
            self._finish(root, certificates)
            write_atomic(os.path.join(place, "built"), b"", durable=False)
            # A power failure must not leave a complete name over files that never reached the disk.
            self._commands.check(["sync", "--file-system", place])
            os.rename(place, image)
        finally:
            if os.path.isdir(place):
                remove_tree(place, self._commands)

    def _finish(self, root: str, certificates: dict[str, bytes]) -> None:
        configuration = [f"{root}/etc/apt/apt.conf.d/99mmdebstrap", f"{root}/etc/dpkg/dpkg.cfg.d/99mmdebstrap"]
        for path in glob.glob(f"{root}/etc/ssh/ssh_host_*") + configuration:
            if os.path.exists(path):
                os.unlink(path)
        self._commands.check(["systemctl", "--quiet", "--root", root, "enable", "systemd-networkd.service"])
        for name, data in certificates.items():
            path = os.path.join(root, _CERTIFICATES.lstrip("/"), name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            write_atomic(path, data, mode=0o644, durable=False)
        if certificates:
            self._commands.check([*_DIES_WITH_US, "chroot", root, "update-ca-certificates"])

    def _remove_remains(self, suite: str) -> None:
        """Remove builds that were killed; the caller's lock says that no other is under way."""
        for place in glob.glob(os.path.join(self._layout.images, f".build-{suite}-*")):
            remove_tree(place, self._commands)

    def collect(self, used: set[str]) -> None:
        """Remove what killed builds left, and images that no host uses and that were not asked for in a fortnight.

        A suite that is being built now is left for another time.
        """
        for suite in SUITES:
            with exclusive_if_free(os.path.join(self._layout.images, f"{suite}.lock")) as held:
                if not held:
                    continue
                self._remove_remains(suite)
                for image in glob.glob(os.path.join(self._layout.images, f"{suite}-*")):
                    if image not in used and time.time() - os.stat(image).st_mtime > _UNUSED_AGE:
                        remove_tree(image, self._commands)
