# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import time

from ansible_collections.scripts.toolkit.plugins.module_utils._guard.cache_admin import SELECTORS, clean_cache
from ansible_collections.scripts.toolkit.plugins.module_utils._guard.cache_options import cache_directory
from ansible_collections.scripts.toolkit.plugins.module_utils._guard.cache_store import CacheStore
from ansible_collections.scripts.toolkit.plugins.plugin_utils._controller_action import ControllerAction

_PATTERNS = {name: {"type": "list", "elements": "str"} for name in SELECTORS}
ARGUMENT_SPEC = {
    "directory": {"type": "path"},
    "invalidate": {"type": "list", "elements": "dict", "options": _PATTERNS},
    "expired": {"type": "bool", "default": False},
    "all": {"type": "bool", "default": False},
}


class ActionModule(ControllerAction):
    """Removes results from the controller's cache; makes no remote call."""

    argument_spec = ARGUMENT_SPEC

    def outcome(self, options):
        wanted = [options[name] for name in ("invalidate", "expired", "all")]
        with contextlib.closing(CacheStore(cache_directory(options["directory"]), time.time)) as store:
            return clean_cache(store, *wanted, check=self._task.check_mode).result()
