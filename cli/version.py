# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which version of the collection this is."""

from __future__ import annotations

import json
import os
import re

from ..plugins.module_utils._core.files import read_bytes

__all__ = ["collection_version"]

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def collection_version(root: str = _ROOT) -> str:
    """Return the version of the collection at ``root``: from MANIFEST.json if it is installed, else galaxy.yml."""
    manifest = read_bytes(os.path.join(root, "MANIFEST.json"))
    if manifest is not None:
        return str(json.loads(manifest)["collection_info"]["version"])
    text = (read_bytes(os.path.join(root, "galaxy.yml")) or b"").decode()
    found = re.search(r"^version:\s*[\"']?([^\s\"'#]+)", text, re.MULTILINE)
    return found[1] if found else "unknown"
