"""A CRM to practise with: takes signed webhooks and refuses one of them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class PractiseCrm(ThreadingHTTPServer):
    """Checks each signature; answers 503 to the first delivery about `unlucky` (an e-mail), however often it comes."""

    daemon_threads = True

    def __init__(self, secret: str, unlucky: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.key = base64.b64decode(secret.removeprefix("whsec_"))
        self.unlucky = unlucky
        self.refused_id = ""
        self.taken = self.refused = self.wrongly_signed = 0
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}/leads"

    def __enter__(self) -> PractiseCrm:
        threading.Thread(target=self.serve_forever, name="CRM", daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.shutdown()
        self.server_close()

    def judge(self, message_id: str, timestamp: str, signature: str, body: bytes) -> int:
        """The status to answer with."""
        signed = hmac.new(self.key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
        with self._lock:
            if not hmac.compare_digest(signature, "v1," + base64.b64encode(signed).decode()):
                self.wrongly_signed += 1
                return 401
            if not self.refused_id and json.loads(body)["data"]["email"] == self.unlucky:
                self.refused_id = message_id
            if message_id == self.refused_id:
                self.refused += 1
                return 503
            self.taken += 1
            return 200


class _Handler(BaseHTTPRequestHandler):
    server: PractiseCrm

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        message_id, timestamp, signature = (
            self.headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature")
        )
        self.send_response(self.server.judge(message_id, timestamp, signature, body))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the demo tells the story."""
