# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the host's half of ``tls_certificate`` and the own CA on the controller work together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ...module_utils._core import errors
from ...module_utils._core.outcomes import Outcomes, error_from_os
from ...module_utils._tls.options import Wanted, parse_all, tls_certificate_spec
from .ca import Authority, Issued

__all__ = ["Signing"]

_BY_KIND = {kind.kind: kind for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "kind")}


class Signing:
    """One run of ``tls_certificate`` for one host.

    :param arguments: the task's options.
    :param host: inventory name.
    :raises ToolkitError: an option can't be used; nothing has been done then.
    """

    def __init__(self, arguments: Mapping, host: str, check_mode: bool) -> None:
        validated = ArgumentSpecValidator(tls_certificate_spec()).validate(dict(arguments))
        if validated.error_messages:
            raise errors.ValidationError(". ".join(validated.error_messages))
        parameters = validated.validated_parameters
        self.host = host
        self.check_mode = check_mode
        self.wanted = {one.name: one for one in parse_all(parameters["certificates"])}
        signed = any(one.provider == "own_ca" for one in self.wanted.values())
        self.authority = Authority(parameters["ca"]) if signed else None

    def run(self, call: Callable[..., dict]) -> dict:
        """Return the result of the task.

        :param call: runs the module on the host with private options and returns its result.
        """
        pem = self.authority.certificate_pem() if self.authority else None
        result = call(_authority=pem) if pem else call()
        requests = result.pop("requests", None)
        if not requests:
            return self._finished(result)
        if self.check_mode:
            answers = self._answers(requests, self._check)
        else:
            answers = self._answers(requests, self._issue)
        issued = {
            request["name"]: {**vars(answers[request["name"]]), "reason": request["reason"]}
            for request in requests
            if isinstance(answers.get(request["name"]), Issued)
        }
        installed = call(_issued=issued) if issued else {}
        if issued and "outcomes" not in installed:
            return self._finished(installed)  # the host went away in between
        return self._finished(self._merge(result, answers, installed))

    def _finished(self, result: dict) -> dict:
        notified: dict[str, str] = {}
        for outcome in result.get("outcomes", ()):
            if outcome["changed"]:
                for unit, action in self.wanted[outcome["item"]].notify.items():
                    notified[unit] = "restart" if "restart" in (action, notified.get(unit)) else action
        authority = self.authority.describe() if self.authority else None
        return {**result, "notified": notified, **({"ca": authority} if authority else {})}

    def _answers(self, requests: list[dict], answer: Callable[[list], dict]) -> dict[str, Any]:
        """Return ``{name: Issued or error}``; what makes the CA unusable is the error of each request."""
        # Only names of this task that are to be signed: a host can't ask for others.
        asked = [
            (self.wanted[request["name"]], request["request"])
            for request in requests
            if request["name"] in self.wanted and self.wanted[request["name"]].provider == "own_ca"
        ]
        try:
            return answer(asked)
        except errors.ToolkitError as error:
            return {wanted.name: error for wanted, _request in asked}
        except OSError as error:
            return {wanted.name: error_from_os(error) for wanted, _request in asked}

    def _check(self, asked: list[tuple[Wanted, Any]]) -> dict[str, Any]:
        return self.authority.check([wanted for wanted, _request in asked])

    def _issue(self, asked: list[tuple[Wanted, str]]) -> dict[str, Any]:
        return self.authority.issue(asked, self.host)

    @staticmethod
    def _merge(prepared: Mapping, answers: Mapping[str, Any], installed: Mapping) -> dict:
        """Return one result of both calls, its outcomes in the order of the task."""
        later = {entry["item"]: entry for entry in installed.get("outcomes", ())}
        merged = Outcomes()
        for entry in prepared["outcomes"]:
            found = later.get(entry["item"], entry)
            with merged.item(entry["item"]) as outcome:
                outcome.update({name: value for name, value in found.items() if name not in ("failed", "error")})
                problem = answers.get(entry["item"])
                if isinstance(problem, errors.ToolkitError):
                    outcome.update(changed=False)
                    outcome.pop("status", None)
                    raise problem
                if found.get("failed"):
                    told = found["error"]
                    raise _BY_KIND[told["kind"]](told["message"], hint=told["hint"], item=told["item"])
        diffs = [*_entries(prepared), *_entries(installed)]
        kept = {name: value for name, value in prepared.items() if name not in ("msg", "error")}
        return {**kept, **merged.result(), "diff": diffs}


def _entries(result: Mapping) -> list:
    return list(result.get("diff") or [])
