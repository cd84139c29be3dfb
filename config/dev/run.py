"""`make run`: web and workers in one foreground command, with demo data on the first start."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
from types import FrameType
from typing import Any

from .children import BASE_DIR, Children, coloured, manage
from .client import Client, free_port, listens, port_is_free, wait_until

START_SECONDS = 30
SAMPLE_LEAD = {
    "name": "Maria Souza",
    "email": "maria.souza@fazenda-boa-vista.com.br",
    "phone": "+55 11 96123-4567",
    "company": "Fazenda Boa Vista",
    "message": "We would like a quote for 40 seats.",
}
FIRST_ENV = """\
# Written by the first `make run`. Every setting: docs/configuration.md
DEBUG=true
SECRET_KEY={secret_key}
"""


class Interrupts:
    """Counts the times that a person, or the system, has asked for the end."""

    def __init__(self) -> None:
        self.count = 0
        self.first = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._heard)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        self.first.set()

    def twice(self) -> bool:
        """Whether it was asked for again."""
        return self.count > 1


def main() -> int:
    """Start all, say where to look, and wait for Ctrl-C."""
    port = _port()
    if port is None:
        return 1
    _write_first_env()
    env = _child_env()
    if subprocess.run(manage("migrate", "--no-input", "-v", "0"), cwd=BASE_DIR, env=env).returncode:
        return _sorry("The database could not be brought up to date; the lines above say why.")
    demo = _demo_data(env)
    if demo is None:
        return _sorry("The demo data could not be made; the lines above say why.")

    interrupts = Interrupts()
    children = Children(env, print)
    colour = ["--force-color"] if coloured(sys.stdout) else []
    children.start("workers", manage("run_huey"))
    children.start("web", manage("runserver", f"127.0.0.1:{port}", *colour), whole_group=True)
    try:
        return _watch(children, interrupts, port, demo)
    finally:
        if interrupts.count and any(child.process.poll() is None for child in children.children):
            print("\nStopping: running jobs may finish. Ctrl-C again stops now.")
        children.stop(hurry=interrupts.twice)


def _watch(children: Children, interrupts: Interrupts, port: int, demo: dict[str, Any]) -> int:
    def settled() -> bool:
        return listens(port) or children.ended() is not None or interrupts.first.is_set()

    if not wait_until(settled, START_SECONDS):
        return _sorry(f"The web server did not answer within {START_SECONDS} seconds.")
    if children.ended() is None and not interrupts.first.is_set():
        site = f"http://127.0.0.1:{port}"
        if demo.get("created"):
            _submit_sample(Client(site), demo)
        print(_welcome(site, demo))
    while not interrupts.first.wait(0.3):
        if ended := children.ended():
            code = ended.process.returncode
            return _sorry(f"{ended.name} ended by itself (exit code {code}); the lines above say why.")
    return 0


def _port() -> int | None:
    parser = argparse.ArgumentParser(prog="make run", description=__doc__)
    parser.add_argument("--port", default="8000")
    given = parser.parse_args().port
    if not given.isdecimal() or not 1024 <= int(given) <= 65535:
        _sorry(f"PORT={given} is not a port; choose a number from 1024 to 65535: make run PORT=8001")
        return None
    if not port_is_free(int(given)):
        _sorry(f"Port {given} is in use, perhaps by another `make run`; choose another: make run PORT={free_port()}")
        return None
    return int(given)


def _write_first_env() -> None:
    path = BASE_DIR / ".env"
    if path.exists() or os.environ.get("SECRET_KEY") or os.environ.get("ENV_FILE"):
        return
    path.write_text(FIRST_ENV.format(secret_key=secrets.token_urlsafe(48)), encoding="utf-8")
    path.chmod(0o600)
    print("Wrote .env (DEBUG=true and a secret key of its own).")


def _child_env() -> dict[str, str]:
    return {**os.environ, "PYTHONUNBUFFERED": "1", "DJANGO_RUNSERVER_HIDE_WARNING": "true"}


def _demo_data(env: dict[str, str]) -> dict[str, Any] | None:
    made = subprocess.run(manage("demo_data", "--json"), cwd=BASE_DIR, env=env, stdout=subprocess.PIPE, text=True)
    if made.returncode:
        return None
    document: dict[str, Any] = json.loads(made.stdout)
    return document


def _submit_sample(client: Client, demo: dict[str, Any]) -> None:
    headers = {"Authorization": f"Bearer {demo['api_key']}", "Idempotency-Key": secrets.token_hex(8)}
    answer = client.post_json("/api/leads/", SAMPLE_LEAD, headers)
    if answer.status != 201:
        print(f"The sample lead was not taken: {answer.status} {answer.body[:200]}", file=sys.stderr)


def _welcome(site: str, demo: dict[str, Any]) -> str:
    return ""


def _sorry(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
