# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import time

from ansible.plugins.action import ActionBase

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ToolkitError
from ansible_collections.scripts.toolkit.plugins.module_utils._guard.cache_admin import SELECTORS, look
from ansible_collections.scripts.toolkit.plugins.module_utils._guard.cache_options import cache_directory
from ansible_collections.scripts.toolkit.plugins.module_utils._guard.cache_store import CacheStore

ARGUMENT_SPEC = {
    "directory": {"type": "path"},
    **{name: {"type": "list", "elements": "str", "default": []} for name in SELECTORS},
    "limit": {"type": "int", "default": 100},
    "results": {"type": "bool", "default": False},
}


class ActionModule(ActionBase):
    """Tells what is in the controller's cache; makes no remote call."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_async = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        del tmp
        _validation, options = self.validate_argument_spec(argument_spec=ARGUMENT_SPEC)
        result.update(changed=False, failed=False)
        try:
            directory = cache_directory(options["directory"])
            patterns = {name: options[name] for name in SELECTORS}
            with contextlib.closing(CacheStore(directory, time.time)) as store:
                result.update(look(store, patterns, options["limit"], options["results"]), directory=directory)
        except ToolkitError as error:
            result.update(error.as_result())
        return result
