# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Put pip into an empty virtual environment, with the arguments of get-pip.py.

ansible-test downloads get-pip.py from its own server for the environments of its sanity tests, unless a copy lies in
its cache. This is that copy (tools/sanity.sh): it starts from the pip that Python brings (ensurepip) and gets the
wanted release from PyPI, so that nothing but the package registry is needed.
"""

from __future__ import annotations

import ensurepip
import importlib
import os
import runpy
import sys


def main() -> None:
    arguments = [argument for argument in sys.argv[1:] if argument not in ("--no-setuptools", "--no-wheel")]
    # ensurepip changes these for the process; pip must see what the caller set.
    environment, argv = dict(os.environ), sys.argv
    ensurepip.bootstrap(default_pip=True)
    importlib.invalidate_caches()
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["pip", "install", *arguments]
    try:
        runpy.run_module("pip", run_name="__main__", alter_sys=True)
    finally:
        sys.argv = argv


main()
