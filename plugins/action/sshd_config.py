# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's half of sshd_config: commit-confirm, on the port that the settings leave open."""

from __future__ import annotations

from ansible_collections.scripts.toolkit.plugins.plugin_utils._confirm import ConfirmedAction


class ActionModule(ConfirmedAction):
    """Apply, then confirm through a new connection."""

    undone = "The host went back to its previous ssh settings by itself"
    way_out = "Let the user that Ansible logs in as keep a way in, and the port reachable through the firewall."
