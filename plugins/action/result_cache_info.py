# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import time

from ansible_collections.scripts.toolkit.plugins.module_utils._guard.cache_admin import SELECTORS, look
from ansible_collections.scripts.toolkit.plugins.module_utils._guard.cache_options import cache_directory
from ansible_collections.scripts.toolkit.plugins.module_utils._guard.cache_store import CacheStore
from ansible_collections.scripts.toolkit.plugins.plugin_utils._controller_action import ControllerAction

ARGUMENT_SPEC = {
    "directory": {"type": "path"},
    **{name: {"type": "list", "elements": "str", "default": []} for name in SELECTORS},
    "limit": {"type": "int", "default": 100},
    "results": {"type": "bool", "default": False},
}


class ActionModule(ControllerAction):
    """Tells what is in the controller's cache; makes no remote call."""

    argument_spec = ARGUMENT_SPEC

    def outcome(self, options):
        directory = cache_directory(options["directory"])
        patterns = {name: options[name] for name in SELECTORS}
        with contextlib.closing(CacheStore(directory, time.time)) as store:
            return {**look(store, patterns, options["limit"], options["results"]), "directory": directory}
