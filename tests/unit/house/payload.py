# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Print as JSON what ansible-core would send to a host for each module named: {module: {file: compressed bytes}}.

A program of its own, since Ansible's loader of collections changes how the process imports.
"""

from __future__ import annotations

import base64
import io
import json
import re
import sys
import zipfile

from ansible.executor import module_common
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader, module_loader
from ansible.template import Templar


def payload(name: str) -> dict[str, int]:
    """Return the compressed sizes of the files in the archive that is sent for a module."""
    built = module_common.modify_module(
        module_name=name,
        module_path=module_loader.find_plugin_with_context(name).plugin_resolved_path,
        module_args={},
        templar=Templar(loader=DataLoader()),
        task_vars={"ansible_python_interpreter": "/usr/bin/python3"},
        module_compression="ZIP_DEFLATED",
    )
    sent = built[0] if isinstance(built, tuple) else built.b_module_data
    archives = [base64.b64decode(text) for text in re.findall(rb"[A-Za-z0-9+/]{400,}={0,2}", sent)]
    with zipfile.ZipFile(io.BytesIO(max(archives, key=len))) as archive:
        return {entry.filename: entry.compress_size for entry in archive.infolist()}


init_plugin_loader()
print(json.dumps({name: payload(name) for name in sys.argv[1:]}))
