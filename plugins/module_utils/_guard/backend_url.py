# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""URLs of servers: checked, shown and kept out of errors, so that their passwords are never seen."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote, urlsplit

from .._core.errors import ValidationError

__all__ = ["SCHEMES", "check_backend", "scrubbed", "shown"]

SCHEMES = {"redis": "redis", "rediss": "redis", "postgresql": "postgresql", "postgres": "postgresql"}
"""The engine for each scheme."""

_SECRET = ("password", "passwd", "token")


def check_backend(backend: str | None) -> None:
    """Raise ``ValidationError`` unless this is ``None`` or the URL of a backend; its text is not repeated."""
    if backend is None:
        return
    try:
        parts = urlsplit(backend)
        known = parts.scheme in SCHEMES and (parts.port is None or parts.port > 0)
    except ValueError:  # a port that is no number
        known = False
    if not known:
        raise ValidationError(
            f"backend: it is no URL that begins with {', '.join(f'{scheme}://' for scheme in SCHEMES)}.",
            hint="Characters such as / @ : # in a password are written percent-encoded.",
        )


def shown(url: str) -> str:
    """Return the URL without user, password and parameters."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    return f"{parts.scheme}://{'***' if user else ''}{at}{host}{parts.path}"


def scrubbed(text: str, url: str) -> str:
    """Return ``text``, such as a library's error, on one line and without the passwords of this URL."""
    parts = urlsplit(url)
    secrets = {parts.password, *_values(parts.query)} - {None, ""}
    for secret in sorted(secrets | {unquote(secret) for secret in secrets}, key=len, reverse=True):
        text = text.replace(secret, "***")
    return " ".join(text.split()).rstrip(".")


def _values(query: str) -> list[str]:
    return [value for name, value in parse_qsl(query) if any(word in name.lower() for word in _SECRET)]
