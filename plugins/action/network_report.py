# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time

from ansible_collections.scripts.toolkit.plugins.module_utils._core.outcomes import error_from_os
from ansible_collections.scripts.toolkit.plugins.plugin_utils._controller_action import ControllerAction
from ansible_collections.scripts.toolkit.plugins.plugin_utils._network.action import ARGUMENT_SPEC, run


class ActionModule(ControllerAction):
    """Reports on what all hosts found of the network; makes no remote call."""

    argument_spec = ARGUMENT_SPEC

    def outcome(self, options):
        try:
            return run(options, time.time(), self._task.check_mode)
        except OSError as error:
            raise error_from_os(error) from error
