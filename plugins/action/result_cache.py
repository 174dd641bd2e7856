# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import time

from ansible.plugins.action import ActionBase

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ToolkitError
from ansible_collections.scripts.toolkit.plugins.module_utils._guard.cache_admin import SELECTORS, clean_cache
from ansible_collections.scripts.toolkit.plugins.module_utils._guard.cache_options import cache_directory
from ansible_collections.scripts.toolkit.plugins.module_utils._guard.cache_store import CacheStore

_PATTERNS = {name: {"type": "list", "elements": "str"} for name in SELECTORS}
ARGUMENT_SPEC = {
    "directory": {"type": "path"},
    "invalidate": {"type": "list", "elements": "dict", "options": _PATTERNS},
    "expired": {"type": "bool", "default": False},
    "all": {"type": "bool", "default": False},
}


class ActionModule(ActionBase):
    """Removes results from the controller's cache; makes no remote call."""

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
            wanted = [options[name] for name in ("invalidate", "expired", "all")]
            with contextlib.closing(CacheStore(directory, time.time)) as store:
                result.update(clean_cache(store, *wanted, check=self._task.check_mode).result())
        except ToolkitError as error:
            result.update(error.as_result())
        if not self._task.diff:
            result.pop("diff", None)
        return result
