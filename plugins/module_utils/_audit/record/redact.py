# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Redaction: what must never be written is replaced before it reaches a record.

Four layers. Results of ``no_log`` tasks are not looked at in the first place (see ``events``). Secrets that
ansible-core knows are masked by its own masker where there is one (``ansible.module_utils.secrets``, from 2.22). Plain
texts from the vault are learned (see ``vaulted``) and replaced everywhere. The rules below catch what is spelled like a
secret: ``password=...``, credentials in URLs, private keys, bearer tokens.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
from collections.abc import Callable, Iterable, Mapping

from ..._core.errors import ValidationError
from .canonical import cut, plain

try:
    from ansible.module_utils.secrets import mask_secrets as _mask_secrets
except ImportError:
    _mask_secrets = None

__all__ = ["REPLACEMENT", "Redactor"]

REPLACEMENT = "***"
_LAST_WORD = re.compile(r"\S+\Z")

_NAMES = (
    r"pass(?:word|wd|phrase|code)?|pwd|secret|token|credential|authorization|cookie"
    r"|(?:api|access|private|secret|ssh)[_-]?key"
)
_SECRET_KEY = re.compile(rf"(?i)(?:^|[^a-z])(?:{_NAMES})s?(?:$|[^a-z])|(?:password|passwd|secret|token)")

_TRIGGERS = re.compile(
    r"pass|pwd|secret|token|credential|authorization|cookie|key|://|bearer|basic|-----BEGIN", re.IGNORECASE
)
"""Every rule below needs one of these: a text without any is not looked at again."""

_GRAM = 6
"""Characters of the shortest secret that is learned."""

_MANY = 200
"""From so many secrets on they are looked up by their beginnings, which costs the same for any number of them."""

_COMMON_WORDS = frozenset(
    (
        *("absent", "bearer", "builtin", "changed", "create", "debian", "default", "delete", "directory", "disabled"),
        *("enabled", "execute", "failed", "ignored", "inline", "interrupted", "latest", "linear", "localhost"),
        *("master", "modify", "password", "present", "production", "public", "reloaded", "rescued", "restarted"),
        *("return", "running", "script", "secret", "skipped", "staging", "started", "status", "stopped", "string"),
        *("success", "systemd", "ubuntu", "unreachable"),
    )
)
"""Values that are no secrets even where a vault holds them: replacing them would make records useless."""

_RULES: tuple[tuple[re.Pattern, str], ...] = (
    (
        re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)", re.DOTALL),
        REPLACEMENT,
    ),
    (re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,31}://[^/\s:@]{0,256}:)[^@\s]{1,512}@"), rf"\1{REPLACEMENT}@"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[a-z0-9._~+/=-]{8,}"), rf"\1 {REPLACEMENT}"),
    (
        re.compile(
            rf"(?i)((?:{_NAMES})[a-z0-9_-]{{0,32}}[\"']?\s{{0,8}}(?:=>|[:=])\s{{0,8}})"
            r"(\"(?:[^\"\\]|\\.)*\"?|'(?:[^'\\]|\\.)*'?|[^\s,;&]+)"
        ),
        rf"\1{REPLACEMENT}",
    ),
    (re.compile(rf"(?i)(--?(?:{_NAMES})[a-z0-9_-]{{0,32}}\s+)(\S+)"), rf"\1{REPLACEMENT}"),
)


class Redactor:
    """Replaces secrets in strings and structures.

    :param patterns: more regular expressions; every match is replaced.
    :raises ValidationError: a pattern is no regular expression.
    """

    def __init__(self, patterns: Iterable[str] = (), mask: Callable[[str], str] | None = _mask_secrets) -> None:
        self._mask = mask
        self._rules = list(_RULES)
        self._own: list[tuple[re.Pattern, str]] = []
        self.secrets: list[str] = []
        self.learned = False
        self._grams: dict[str, list[str]] = {}
        for pattern in patterns:
            try:
                self._own.append((re.compile(str(pattern)), REPLACEMENT))
            except re.error as error:
                raise ValidationError(
                    f"redact_patterns: {pattern!r} is not a regular expression: {error}.",
                    hint="Write it in the syntax of Python's re module.",
                ) from None

    def learn(self, secret: str) -> None:
        """Replace this text wherever it turns up from now on, also as JSON, Python or base64 spell it."""
        if len(secret) < _GRAM or secret.lower() in _COMMON_WORDS or secret in self._grams.get(secret[:_GRAM], ()):
            return
        encoded = base64.b64encode(secret.encode("utf-8", "replace")).decode("ascii")
        spelled = [secret, encoded, json.dumps(secret)[1:-1], repr(secret)[1:-1], shlex.quote(secret)[1:-1]]
        for form in spelled:
            if form is secret or (len(form) >= _GRAM and secret not in form):
                self._grams.setdefault(form[:_GRAM], []).append(form)
                self.secrets.append(form)
        self.learned = True
        self.secrets.sort(key=len, reverse=True)

    def _present(self, text: str) -> list[str]:
        """Return the learned secrets that stand in ``text``, longest first."""
        if len(self.secrets) < _MANY:
            return [secret for secret in self.secrets if secret in text]
        found = set()
        for start in range(len(text) - _GRAM + 1):
            for secret in self._grams.get(text[start : start + _GRAM], ()):
                if text.startswith(secret, start):
                    found.add(secret)
        return sorted(found, key=len, reverse=True)

    def knows(self, text: str) -> bool:
        """Return whether a learned secret stands in ``text``."""
        return bool(self._present(text))

    def text(self, text: str) -> str:
        """Return ``text`` with every secret replaced by ``***``."""
        return self._by_rules(self.known(text))

    def _by_rules(self, text: str) -> str:
        if _TRIGGERS.search(text):
            for pattern, replacement in self._rules:
                text = pattern.sub(replacement, text)
        for pattern, replacement in self._own:
            text = pattern.sub(replacement, text)
        return text

    def short(self, text: str, limit: int) -> str:
        """Return the beginning of ``text``, redacted, in at most ``limit`` bytes of JSON (10 or more).

        Only four times that is looked at, so that a huge message costs no more than a long one. Where that cuts a word,
        the word goes too: half a secret might not be spelled like one.
        """
        if self.learned or self._mask is not None:
            text = self.known(text)
        if len(text) > limit * 4:
            start = text[: limit * 4]
            cut_word = _LAST_WORD.search(start)
            text = start[: cut_word.start()] + REPLACEMENT if cut_word else start
        if self._own or _TRIGGERS.search(text):
            text = self._by_rules(text)
        return text if len(text) * 6 <= limit else cut(text, limit)

    def known(self, text: str) -> str:
        """Return ``text`` without the secrets that ansible-core knows and those learned; for names and paths, where
        rules by spelling would do harm."""
        if self._mask is not None:
            text = self._mask(text)
        if self.learned:
            for secret in self._present(text):
                text = text.replace(secret, REPLACEMENT)
        return text

    def value(self, value: object) -> object:
        """Return a plain copy of ``value``: strings redacted, and the values of keys that are named like a secret
        replaced whole."""
        return self._hide(plain(value, self.text))

    def _hide(self, value: object) -> object:
        if isinstance(value, Mapping):
            return {
                key: REPLACEMENT
                if entry not in (None, "", True, False) and _SECRET_KEY.search(key)
                else self._hide(entry)
                for key, entry in value.items()
            }
        if isinstance(value, list):
            return [self._hide(entry) for entry in value]
        return value
