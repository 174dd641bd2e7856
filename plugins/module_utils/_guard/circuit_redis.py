# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Circuits of many controllers in a Redis server: one hash, a field for each circuit.

A decision is taken here, on what was read, and kept by a script that only does so where nobody wrote since (compare and
set). So the rules exist once, in Python, and not once more in Lua.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .._core.errors import DependencyError, PermissionDenied, UnavailableError, ValidationError
from .backend_url import scrubbed, shown
from .circuit_store import Answer, Decide, Store

try:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    HAS_REDIS = True
except ImportError:
    HAS_REDIS = False

__all__ = ["RedisStore"]

_KEY = "scripts_toolkit:circuits"
_SECONDS = 5
"""How long to wait for a connection and for an answer."""

_READ = """
local found
if ARGV[1] then found = {ARGV[1], redis.call('HGET', KEYS[1], ARGV[1])} else found = redis.call('HGETALL', KEYS[1]) end
return {found, redis.call('TIME')}
"""
_REPLACE = """
if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end
if ARGV[3] == '' then redis.call('HDEL', KEYS[1], ARGV[1]) else redis.call('HSET', KEYS[1], ARGV[1], ARGV[3]) end
return 1
"""


class RedisStore(Store):
    """Circuits in the Redis server with this URL (``redis://`` or, with TLS, ``rediss://``); its clock holds."""

    def __init__(self, url: str) -> None:
        if not HAS_REDIS:
            raise DependencyError(
                "Circuits in Redis need the Python library redis on the controller.",
                hint="pip install 'scripts-toolkit[redis]', or the Debian package python3-redis.",
            )
        self._url = url
        self._connected: redis.Redis | None = None

    def _change(self, name: str, decide: Decide, now: Callable[[], float]) -> Answer:
        while True:
            texts, time = self.read(name, now)
            found = texts.get(name)
            wanted, answer = decide(found, time)
            if wanted == found:
                return answer
            with self._client() as client:
                if client.eval(_REPLACE, 1, _KEY, name, found or "", wanted or ""):
                    return answer

    def read(self, name: str | None, now: Callable[[], float]) -> tuple[dict[str, str], float]:
        """See ``Store``."""
        del now
        with self._client() as client:
            found, (seconds, microseconds) = client.eval(_READ, 1, _KEY, *([] if name is None else [name]))
        texts = {field: text for field, text in zip(found[::2], found[1::2]) if text is not None}
        return texts, int(seconds) + int(microseconds) / 1e6

    def release(self) -> None:
        """Close the connection: a call may take hours."""
        if self._connected is not None:
            self._connected.close()
            self._connected = None

    @contextmanager
    def _client(self) -> Iterator[redis.Redis]:
        try:
            if self._connected is None:
                # No retries: whoever asks again must look again at what is kept by then.
                self._connected = redis.Redis.from_url(
                    self._url,
                    socket_connect_timeout=_SECONDS,
                    socket_timeout=_SECONDS,
                    decode_responses=True,
                    single_connection_client=True,
                    retry=Retry(NoBackoff(), 0),
                )
            yield self._connected
        except (redis.AuthenticationError, redis.exceptions.NoPermissionError) as error:
            raise PermissionDenied(
                f"{shown(self._url)} refuses this user: {scrubbed(str(error), self._url)}.",
                hint="Look at the user and the password in backend.",
            ) from None
        except (redis.RedisError, OSError) as error:
            raise UnavailableError(
                f"{shown(self._url)} can't be asked: {scrubbed(str(error), self._url)}.",
                hint="Look at the server, or run without circuits meanwhile by on_backend_error: bypass.",
            ) from None
        except (TypeError, ValueError) as error:
            raise ValidationError(
                f"backend: the library redis does not take the parameters of {shown(self._url)}"
                f" ({type(error).__name__}).",
                hint="Look at its parameters after the question mark.",
            ) from None
