# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real servers on this machine for unit tests of probes."""

from __future__ import annotations

import asyncio
import socket
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from ansible_collections.scripts.toolkit.plugins.module_utils._network.probe.engine import probe
from ansible_collections.scripts.toolkit.tests.integration.network.probe_certificates import make_certificates
from ansible_collections.scripts.toolkit.tests.integration.network.probe_servers import PORTS, serve


@dataclass
class Servers:
    """Where the servers are: ``ports`` by name on 127.0.0.1, and the directory of their certificates."""

    ports: dict[str, int]
    directory: Path

    def check(self, port: str | int, rule: dict, address: str = "127.0.0.1", **options) -> dict:
        """Return the check of one rule on one of the servers."""
        trusted = {"ca_path": str(self.directory / "ca.pem"), **rule}
        number = self.ports.get(port, port) or None
        target = {"name": "it", "address": address, "type": "service", "port": number}
        (outcome,) = run(targets=[target], rules=[trusted], **options)["outcomes"]
        return outcome["checks"][0]


def run(**options) -> dict:
    """Return the result of a probe."""
    return probe({"timeout": 2.0, "concurrency": 100, **options})


def _free_ports(count: int) -> list[int]:
    """Return ports that are free for TCP and UDP."""
    held = []
    try:
        while len(held) < count * 2:
            stream = socket.create_server(("127.0.0.1", 0))
            datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            held += [stream, datagram]
            try:
                datagram.bind(stream.getsockname())
            except OSError:
                datagram.close()
                held.pop()
                held.pop().close()
        return [stream.getsockname()[1] for stream in held[::2]]
    finally:
        for one in held:
            one.close()


@pytest.fixture(scope="session")
def servers(tmp_path_factory):
    directory = tmp_path_factory.mktemp("certificates")
    make_certificates(directory, "localhost")
    ports = dict(zip(PORTS, _free_ports(len(PORTS))))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(serve(directory, ["127.0.0.1"], ports), loop).result(20)
    yield Servers(ports, directory)
    asyncio.run_coroutine_threadsafe(_end(), loop).result(20)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(20)
    loop.close()


async def _end() -> None:
    """Cancel what the servers still do."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
