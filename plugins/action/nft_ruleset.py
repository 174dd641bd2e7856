# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's half of nft_ruleset: commit-confirm."""

from __future__ import annotations

from ansible_collections.scripts.toolkit.plugins.plugin_utils._confirm import ConfirmedAction


class ActionModule(ConfirmedAction):
    """Apply, then confirm through a new connection."""

    undone = "The host went back to its previous rules by itself"
    way_out = "Let the controller's address reach the ssh server's port in rules."
