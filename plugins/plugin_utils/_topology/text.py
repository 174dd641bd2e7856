# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Text of strangers, such as names from the DNS, made fit for drawings."""

from __future__ import annotations

__all__ = ["printable"]


def printable(text: str) -> str:
    """Return ``text`` with newlines, and a replacement character for what can't be printed and so is not in XML."""
    return "".join(char if char == "\n" or char.isprintable() else "\ufffd" for char in text)
