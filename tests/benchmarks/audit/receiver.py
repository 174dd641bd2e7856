# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A receiver of OTLP/HTTP that answers every export with success and forgets it: receiver.py PORT

What is answered is an empty ExportTraceServiceResponse, zero bytes of protobuf
(https://opentelemetry.io/docs/specs/otlp/#otlphttp-response).
"""

from __future__ import annotations

import http.server
import sys


class Receiver(http.server.BaseHTTPRequestHandler):
    """Takes what comes."""

    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_GET = _answer  # noqa: N815  the names are http.server's

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
