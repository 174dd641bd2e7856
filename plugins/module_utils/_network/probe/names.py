# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules of the type dns."""

from __future__ import annotations

import asyncio
import ipaddress

from ..targets.addresses import Address, Name, parse_endpoint
from ..targets.rules import TARGET_PLACE
from . import dns_wire
from .job import Job
from .resolver import Server, ask
from .talk import Broken, Seen

__all__ = ["dns"]


async def dns(job: Job) -> Seen:
    """Ask for a record, and compare the answers with those expected."""
    options = job.rule.options
    asked = options["query"] if options["query"] not in (None, TARGET_PLACE) else job.host.text
    is_address = _is_address(asked)
    if options["record"] is None and is_address:
        return Seen(f"{asked} is an address, nothing is to be resolved.", asked, 0.0)
    clock = job.clock()
    if options["record"] is None and options["server"] is None and not options["dnssec"]:
        values, facts = [address.text for address in await job.context.resolver.lookup(Name(asked, asked))], {}
    else:
        records = [options["record"]] if options["record"] else ["A", "AAAA"]
        name = dns_wire.reverse_name(asked) if options["record"] == "PTR" and is_address else asked
        answers = await asyncio.gather(*(_ask(job, name, record) for record in records))
        values = [value for answer in answers for value in answer.values]
        ttls = [answer.ttl for answer in answers if answer.ttl is not None]
        authentic = all(answer.authentic for answer in answers)
        facts = {"ttl": min(ttls) if ttls else None, "authentic": authentic}
        job.need(
            authentic or not options["dnssec"], f"The answer for {asked} is not marked as verified by DNSSEC.", **facts
        )
    latency = clock.ms
    facts.update(query=asked, answers=values)
    job.need(bool(values), f"{asked} has no such record.", "not_found", **facts)
    expected = {_same(value) for value in options["expect"]}
    if expected and expected != {_same(value) for value in values}:
        message = f"{asked} is {', '.join(sorted(values))}, expected was {', '.join(sorted(options['expect']))}."
        raise Broken("dns", "integrity", message, **facts)
    return Seen(f"{asked} is {', '.join(values)}.", "\n".join(values), latency, facts)


async def _ask(job: Job, name: str, record: str) -> dns_wire.Answer:
    server = job.rule.options["server"]
    dnssec = job.rule.options["dnssec"]
    if server is None:
        return await job.context.resolver.ask(name, record, dnssec)
    endpoint = job.target.endpoint if server == TARGET_PLACE else parse_endpoint(server)
    host = endpoint.host
    address = host if isinstance(host, Address) else (await job.context.resolver.lookup(host))[0]
    asked = Server(address, (endpoint.port if server != TARGET_PLACE else job.port) or 53)
    answer = await ask(asked, name, record, job.clock(), dnssec)
    if answer.rcode != "NOERROR":
        missing = answer.rcode == "NXDOMAIN"
        message = f"{asked} answers {answer.rcode} for {name}."
        raise Broken("dns", "not_found" if missing else "unavailable", message, rcode=answer.rcode)
    return answer


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _same(value: str) -> str:
    """Return a form in which equal answers are equal."""
    return str(ipaddress.ip_address(value)) if _is_address(value) else value.lower().rstrip(".")
