# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A receiver of webhooks that answers by a script, and short ways to settings and events."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ansible_collections.scripts.toolkit.plugins.module_utils._network.monitor.settings import Settings, parse_settings
from ansible_collections.scripts.toolkit.plugins.module_utils._network.monitor.store import Store


class Receiver:
    """Answers with the statuses of ``script`` in turn, then with 204; ``hang`` answers late, ``drop`` never."""

    def __init__(self, *script: int | str) -> None:
        self.script, self.requests = list(script), []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.requests.append((self.path, dict(self.headers), json.loads(body)))
                answer = receiver.script.pop(0) if receiver.script else 204
                if answer == "hang":
                    time.sleep(3)
                elif answer == "rubbish":
                    self.wfile.write(b"\x16\x03\x01 no http\n")
                elif answer != "drop":
                    self.send_response(answer)
                    self.send_header("Location", f"{receiver.url}/elsewhere")
                    self.end_headers()
                self.close_connection = True

            def log_message(self, *_words: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    @property
    def events(self) -> list[tuple[str, str]]:
        return [(event["type"], event["target"]) for _path, _headers, event in self.requests]


@contextmanager
def receiving(*script: int | str) -> Iterator[Receiver]:
    receiver = Receiver(*script)
    thread = threading.Thread(target=receiver.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.server.shutdown()
        receiver.server.server_close()
        thread.join()


def settings(*hooks: dict, **more) -> Settings:
    return parse_settings({"probe": {}, "failures": 3, "successes": 2, "hooks": list(hooks), **more})


def waiting(store: Store, hook: str) -> list[tuple[str, str]]:
    """Return ``(type, target)`` of what waits for a hook, in its order."""
    events = [json.loads(entry.event) for entry in store.pending() if entry.hook == hook]
    return [(event["type"], event["target"]) for event in events]
