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
from textwrap import wrap
from types import FrameType
from typing import Any

from config.language import gettext as _

from .children import BASE_DIR, Children, coloured, manage
from .client import Client, free_port, listens, port_is_free, wait_until
from .terminal import escape_what_is_lacking, own_foreground

START_SECONDS = 30
#: Remembers what the first start printed; only for the demo's own users.
ACCESS = BASE_DIR / "var" / "demo-access.json"
SAMPLE_LEADS = {
    "aurora": {
        "name": "Maria Souza",
        "email": "maria.souza@fazenda-boa-vista.com.br",
        "phone": "+55 11 96123-4567",
        "company": "Fazenda Boa Vista",
        "message": "We would like a quote for 40 seats.",
    },
    "northwind": {"name": "John Carter", "email": "john@carter-farms.com", "message": "Solar roof for a barn."},
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
    escape_what_is_lacking()
    port = _port()
    if port is None:
        return 1
    _write_first_env()
    env = _child_env(port)
    if subprocess.run(manage("migrate", "--no-input", "-v", "0"), cwd=BASE_DIR, env=env).returncode:
        return _sorry(_("The database could not be brought up to date; the lines above say why."))
    demo = _demo_data(env)
    if demo is None:
        return _sorry(_("The demo data could not be made; the lines above say why."))

    interrupts = Interrupts()
    with own_foreground():
        return _run(port, env, demo, interrupts)


def _run(port: int, env: dict[str, str], demo: dict[str, Any], interrupts: Interrupts) -> int:
    children = Children(env, print)
    colour = ["--force-color"] if coloured(sys.stdout) else []
    children.start("workers", manage("run_huey"))
    children.start("web", manage("runserver", f"127.0.0.1:{port}", *colour), whole_group=True)
    try:
        return _watch(children, interrupts, port, demo)
    finally:
        if interrupts.count and any(child.process.poll() is None for child in children.children):
            print("\n" + _("Stopping: running jobs may finish. Ctrl-C again stops now."))
        children.stop(hurry=interrupts.twice)


def _watch(children: Children, interrupts: Interrupts, port: int, demo: dict[str, Any]) -> int:
    def settled() -> bool:
        return listens(port) or children.ended() is not None or interrupts.first.is_set()

    if not wait_until(settled, START_SECONDS):
        return _sorry(_("The web server did not answer within %(seconds)d seconds.") % {"seconds": START_SECONDS})
    if children.ended() is None and not interrupts.first.is_set():
        site = f"http://127.0.0.1:{port}"
        if demo.get("created"):
            _submit_samples(Client(site), demo)
        print(_welcome(site, demo))
    while not interrupts.first.wait(0.3):
        if ended := children.ended():
            code = ended.process.returncode
            text = _("%(name)s ended by itself (exit code %(code)s); the lines above say why.")
            return _sorry(text % {"name": ended.name, "code": code})
    return 0


def _port() -> int | None:
    parser = argparse.ArgumentParser(prog="make run", description=__doc__)
    parser.add_argument("--port", default="8000")
    given = parser.parse_args().port
    if not given.isdecimal() or not 1024 <= int(given) <= 65535:
        text = _("PORT=%(port)s is not a port; choose a number from 1024 to 65535: make run PORT=8001")
        _sorry(text % {"port": given})
        return None
    if not port_is_free(int(given)):
        other = _next_free(int(given))
        text = _("Port %(port)s is in use, perhaps by another `make run`; choose another: make run PORT=%(other)d")
        _sorry(text % {"port": given, "other": other})
        return None
    return int(given)


def _next_free(port: int) -> int:
    return next((near for near in range(port + 1, min(port + 100, 65536)) if port_is_free(near)), free_port())


def _write_first_env() -> None:
    path = BASE_DIR / ".env"
    if path.exists() or os.environ.get("SECRET_KEY") or os.environ.get("ENV_FILE"):
        return
    path.write_text(FIRST_ENV.format(secret_key=secrets.token_urlsafe(48)), encoding="utf-8")
    path.chmod(0o600)
    print(_("Wrote .env (DEBUG=true and a secret key of its own)."))


def _child_env(port: int) -> dict[str, str]:
    return {
        "SITE_URL": f"http://localhost:{port}",
        **os.environ,
        "PYTHONUNBUFFERED": "1",
        "DJANGO_RUNSERVER_HIDE_WARNING": "true",
    }


def _demo_data(env: dict[str, str]) -> dict[str, Any] | None:
    made = subprocess.run(manage("demo_data", "--json"), cwd=BASE_DIR, env=env, stdout=subprocess.PIPE, text=True)
    if made.returncode:
        return None
    document: dict[str, Any] = json.loads(made.stdout)
    if document["created"]:
        _keep_access(document)
    elif ACCESS.exists():
        document = {**json.loads(ACCESS.read_text(encoding="utf-8")), **document}
    return document


def _keep_access(document: dict[str, Any]) -> None:
    """Remember the passwords and keys of the demo, so that a later start can say them again."""
    ACCESS.parent.mkdir(parents=True, exist_ok=True)
    ACCESS.touch(mode=0o600)
    kept = {name: document[name] for name in ("password", "api_key", "api_keys")}
    ACCESS.write_text(json.dumps(kept), encoding="utf-8")


def _submit_samples(client: Client, demo: dict[str, Any]) -> None:
    for slug, lead in SAMPLE_LEADS.items():
        headers = {"Authorization": f"Bearer {demo['api_keys'][slug]}", "Idempotency-Key": secrets.token_hex(8)}
        answer = client.post_json("/api/leads/", lead, headers)
        if answer.status != 201:
            text = _("The sample lead was not taken: %(status)s %(body)s")
            print(text % {"status": answer.status, "body": answer.body[:200]}, file=sys.stderr)


def _welcome(site: str, demo: dict[str, Any]) -> str:
    signs_in = _("sign in as admin@example.org, password %(password)s") % {
        "password": demo.get("password") or _("the one that the first start printed")
    }
    places = [
        (_("Admin"), "/admin/", signs_in),
        (_("Jobs"), "/admin/jobs/job/", _("every job, attempt by attempt")),
        (_("Leads"), "/leads/", _("as ana@example.org (owner of Aurora), same password")),
        (_("Inbox"), "/notifications/", ""),
        (_("Web form"), demo["form"], _("send a lead yourself")),
        (_("Mail"), "/admin/emails/emailmessage/", _("what was sent; no mail leaves this machine")),
        (_("API"), "/api/docs/", ""),
    ]
    width = max(len(name) for name, *_rest in places)
    lines = [f"{name:<{width}}  {site + path:<50}  {what}".rstrip() for name, path, what in places]
    if demo.get("created"):
        new = _("Two sample leads are on their way: see their jobs now, and the enrichment in ten seconds.")
        lines = [new, *lines]
    unreachable = _(
        "The lead of Northwind Solar goes to a CRM that does not answer: its sync_to_crm fails three times and becomes "
        "a dead letter. Clear the address on %(address)s and press Retry on the job's page."
    )
    lines += [
        "",
        _("One more lead:"),
        f"  curl -H 'Authorization: Bearer {demo.get('api_key', 'KEY')}' -H 'Content-Type: application/json' "
        "-H 'Idempotency-Key: '$(date +%s) \\",
        f'    -d \'{{"name": "Joana", "email": "joana@example.com"}}\' {site}/api/leads/',
        "",
        *wrap(unreachable % {"address": f"{site}/admin/leads/crmwebhook/"}, 116, break_on_hyphens=False),
        "",
        _("Ctrl-C ends it."),
    ]
    return "\n".join(["", *(f"  {line}".rstrip() for line in lines), ""])


def _sorry(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
