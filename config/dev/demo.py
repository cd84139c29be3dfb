"""`make demo`: the whole flow without a person, on a database of its own.

Ends with 0 only if every job ended as it should.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from config.language import gettext as _

from .children import BASE_DIR, Children, manage
from .client import Client, free_port, listens, wait_until
from .run import Interrupts
from .terminal import escape_what_is_lacking
from .webhook import PractiseCrm

START_SECONDS, JOBS_SECONDS, RETRY_SECONDS = 60, 180, 60
#: What a command may need of the shell; nothing else of it is passed on.
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "LANGUAGE_CODE", "TERM", "TMPDIR", "LD_LIBRARY_PATH", "SYSTEMROOT")
UNLUCKY = "ana.lima@oficina-norte.com.br"
GOOD_LEADS = (
    {"name": "Maria Souza", "email": "maria.souza@fazenda-boa-vista.com.br", "phone": "+55 11 96123-4567"},
    {"name": "Ana Lima", "email": UNLUCKY, "company": "Oficina Norte"},
    {"name": "John Carter", "email": "john.carter@example.co.uk", "message": "Please call me.", "consent": "on"},
)
DUPLICATE = {
    "name": "Maria Souza",
    "email": "Maria.Souza@Fazenda-Boa-Vista.com.br",
    "message": "One more question.",
}
INVALID = {"name": "Nobody", "email": "not an address"}
EACH_LEAD_STARTS = {
    "leads.calculate_lead_score",
    "leads.enrich_lead_data",
    "leads.sync_to_crm",
    "emails.send_lead_notification",
    "emails.send_follow_up",
    "notifications.create_notification",
}
FOLLOW_UP, SYNC = "emails.send_follow_up", "leads.sync_to_crm"
#: Stated for later: the follow-up, and the net under a request that has processed its submission at once.
FOR_LATER = {FOLLOW_UP, "leads.process_submission"}
SYNC_ATTEMPTS = 3
LIVE = {"pending", "waiting", "scheduled", "retrying", "active"}


class Failed(Exception):
    """The flow did not go as it should; the message says where."""


@dataclass(frozen=True)
class Site:
    """One temporary site: its environment and its address."""

    env: dict[str, str]
    port: int

    @property
    def address(self) -> str:
        """Where the site answers."""
        return f"http://127.0.0.1:{self.port}"

    def command(self, *arguments: str) -> Any:
        """Run a `manage.py` command that prints one JSON document, and return that."""
        ended = subprocess.run(
            manage(*arguments), cwd=BASE_DIR, env=self.env, capture_output=True, text=True, timeout=120
        )
        if ended.returncode:
            raise Failed(f"manage.py {' '.join(arguments)} ended with {ended.returncode}: {ended.stderr[-2000:]}")
        return json.loads(ended.stdout) if "--json" in arguments else None

    def jobs(self) -> list[dict[str, Any]]:
        """The history, oldest first."""
        found: list[dict[str, Any]] = self.command("jobs", "list", "--limit", "1000", "--json")
        return found[::-1]


def main() -> int:
    """Play the story and judge it."""
    escape_what_is_lacking()
    parser = argparse.ArgumentParser(description="The whole flow without a person, on a temporary site.")
    parser.add_argument("--database", default="", help="an empty database, such as postgres://user@host/name")
    parser.add_argument("--redis", default="", help="a Redis server to keep the jobs, such as redis://host:6379/0")
    options = parser.parse_args()
    interrupts = Interrupts()
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
    with tempfile.TemporaryDirectory(prefix="esteira-demo-") as folder, PractiseCrm(secret, UNLUCKY) as crm:
        site = Site(_environment(Path(folder), options.database, options.redis, crm.url, secret), free_port())
        log: list[str] = []
        children = Children(site.env, log.append)
        try:
            _play(site, children, crm, interrupts)
        except (Failed, subprocess.TimeoutExpired, OSError) as error:
            print("\n".join(["", _("The last lines of web and workers:"), *log[-40:]]), file=sys.stderr)
            print("\n" + _("The demo failed: %(error)s") % {"error": error}, file=sys.stderr)
            return 1
        finally:
            clean = children.stop(hurry=interrupts.twice)
    if not clean:
        print(_("The demo failed: web or workers did not stop when asked."), file=sys.stderr)
        return 1
    print("\n" + _("Every job ended as it should."))
    return 0


def _play(site: Site, children: Children, crm: PractiseCrm, interrupts: Interrupts) -> None:
    def gone() -> bool:
        return interrupts.first.is_set() or children.ended() is not None

    _tell(_("A database of its own, and demo data"))
    site.command("migrate", "--no-input", "-v", "0")
    demo = site.command("demo_data", "--json")

    _tell(_("Web on %(site)s, workers, and a CRM at %(crm)s") % {"site": site.address, "crm": crm.url})
    children.start("workers", manage("run_huey", "--no-reload"))
    children.start("web", manage("runserver", "--noreload", f"127.0.0.1:{site.port}"))
    if not wait_until(lambda: listens(site.port) or gone(), START_SECONDS) or gone():
        raise Failed(_("web and workers did not start"))

    known = {job["id"] for job in site.jobs()}
    _submit_all(Client(site.address), demo)

    def news() -> list[dict[str, Any]]:
        return [job for job in site.jobs() if job["id"] not in known]

    _tell(_("Waiting until the jobs have ended (the enrichment starts after ten seconds)"))
    if not wait_until(lambda: gone() or _all_ended(news()), JOBS_SECONDS, every=1.5):
        _print_history(news())
        raise Failed(_("there are jobs that did not end within %(seconds)d seconds") % {"seconds": JOBS_SECONDS})
    if gone():
        raise Failed(_("it was interrupted, or web or workers ended by themselves"))
    history = news()
    _print_history(history)
    _judge(history, crm)
    _retry_the_dead_letter(site, next(job for job in history if job["state"] == "failed"))


def _submit_all(client: Client, demo: dict[str, Any]) -> None:
    _tell(_("Leads: two by the API, one by the web form, one of them again, and an invalid one"))
    headers = {"Authorization": f"Bearer {demo['api_key']}"}
    form = demo["form"]
    first, second, third = GOOD_LEADS
    answers = [
        (_("API, new"), 201, client.post_json("/api/leads/", first, headers)),
        (_("API, new"), 201, client.post_json("/api/leads/", second, headers)),
        (_("form, new"), 200, client.submit_form(form, third)),
        (_("API, known"), 200, client.post_json("/api/leads/", DUPLICATE, headers)),
        (_("API, invalid"), 400, client.post_json("/api/leads/", INVALID, headers)),
    ]
    for what, expected, answer in answers:
        print(f"   {what:<18} {answer.status}")
        if answer.status != expected:
            raise Failed(f"{what}: expected {expected}, got {answer.status}: {answer.body[:500]}")


def _all_ended(jobs: list[dict[str, Any]]) -> bool:
    live = [job for job in jobs if job["state"] in LIVE and not _is_for_later(job)]
    done = Counter(job["task"] for job in jobs)
    return not live and all(done[task] >= len(GOOD_LEADS) for task in EACH_LEAD_STARTS)


def _is_for_later(job: dict[str, Any]) -> bool:
    return bool(job["task"] in FOR_LATER and job["state"] == "scheduled")


def _judge(history: list[dict[str, Any]], crm: PractiseCrm) -> None:
    leads = {job["about"] for job in history if job["task"] == "leads.enrich_lead_data"}
    if len(leads) != len(GOOD_LEADS):
        raise Failed(f"{len(leads)} leads were enriched, not {len(GOOD_LEADS)}")
    failed = [job for job in history if job["state"] == "failed"]
    if [(job["task"], job["attempts"]) for job in failed] != [(SYNC, SYNC_ATTEMPTS)]:
        raise Failed(f"expected one dead letter, sync_to_crm after {SYNC_ATTEMPTS} attempts; got {failed}")
    if sum(_is_for_later(job) and job["task"] == FOLLOW_UP for job in history) != len(GOOD_LEADS):
        raise Failed(_("not every new lead has its follow-up waiting"))
    wrong = [job for job in history if job["state"] != "completed" and job not in failed and not _is_for_later(job)]
    if wrong:
        raise Failed(f"these jobs did not complete: {wrong}")
    if crm.wrongly_signed or crm.refused != SYNC_ATTEMPTS or crm.taken < len(GOOD_LEADS):
        raise Failed(f"the CRM took {crm.taken}, refused {crm.refused} and found {crm.wrongly_signed} wrongly signed")


def _retry_the_dead_letter(site: Site, job: dict[str, Any]) -> None:
    _tell(_("The dead letter is retried: %(command)s") % {"command": f"manage.py jobs retry {job['id']}"})
    site.command("jobs", "retry", job["id"], "--json")

    def state() -> str:
        return str(site.command("jobs", "show", job["id"], "--json")["state"])

    if not wait_until(lambda: state() not in LIVE, RETRY_SECONDS, every=0.5) or state() != "completed":
        raise Failed(f"the retried job is {state()}")
    print("   " + _("completed"))


def _print_history(history: list[dict[str, Any]]) -> None:
    heads = (_("lead"), _("task"), _("queue"), _("state"), _("attempts"), _("seconds"), _("error"))
    names: dict[str, str] = {}
    for job in history:
        if job["about"].startswith("leads.lead:"):
            names.setdefault(job["about"], f"lead {len(names) + 1}")
    lines = [
        (
            names.get(job["about"], ""),
            job["task"],
            job["queue"],
            job["state"],
            str(job["attempts"]),
            _seconds(job),
            job["error"][:50],
        )
        for job in history
    ]
    widths = [max(len(line[i]) for line in (heads, *lines)) for i in range(len(heads))]
    print()
    for line in (heads, tuple("-" * width for width in widths), *lines):
        print("   " + "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
    print(
        "\n   " + ", ".join(f"{count} {state}" for state, count in sorted(Counter(j["state"] for j in history).items()))
    )


def _seconds(job: dict[str, Any]) -> str:
    """From being enqueued to its end."""
    if not job["ended_at"]:
        return ""
    took = datetime.fromisoformat(job["ended_at"]) - datetime.fromisoformat(job["created_at"])
    return f"{took.total_seconds():.1f}"


def _environment(folder: Path, database: str, redis: str, crm_url: str, crm_secret: str) -> dict[str, str]:
    return {
        **{name: os.environ[name] for name in KEPT if name in os.environ},
        "PYTHONUNBUFFERED": "1",
        "DJANGO_RUNSERVER_HIDE_WARNING": "true",
        "ENV_FILE": os.devnull,
        "DEBUG": "true",
        "DATABASE_URL": database or f"sqlite:///{folder}/demo.sqlite3",
        "REDIS_URL": redis,
        "JOBS_NAMESPACE": f"demo-{secrets.token_hex(4)}",
        "EMAIL_URL": f"filemail:///{folder}/mail",
        "CRM_WEBHOOK_URL": crm_url,
        "CRM_WEBHOOK_SECRET": crm_secret,
    }


def _tell(sentence: str) -> None:
    print(f"\n== {sentence}")


if __name__ == "__main__":
    sys.exit(main())
