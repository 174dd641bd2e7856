# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Disposable Debian hosts: systemd-nspawn machines on a shared, cached root file system and a bridge of their own."""

from __future__ import annotations

from .hosts import Hosts

__all__ = ["Hosts"]
