"""A campaign through a mail server that fails in every way, with workers killed meanwhile: what the rows say is held
against the server's own ledger."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.faults.harness import ROOT, Huey, Site, wait_for

from .mail_server import DROP, KEEP_AND_DROP, Behaviour, MailServer

#: The concurrency of the queue: as many mails can be on their way when a worker is killed.
IN_FLIGHT = 5
#: What a step meets in place of its good end, and in how many of a hundred mails.
FAULTS: dict[str, tuple[tuple[str, int], ...]] = {
    "greet": (("421 4.3.2 not now", 3), (DROP, 3)),
    "ehlo": ((DROP, 2),),
    "mail": (("451 4.3.0 later", 1), (DROP, 1)),
    "rcpt": (("450 4.2.0 greylisted", 4), ("550 5.1.1 no such user", 4), (DROP, 2)),
    "data": (("451 4.3.0 later", 1), ("554 5.5.1 no", 1), (DROP, 1)),
    "content": ((DROP, 1),),
    "end": (("451 4.3.0 disk full", 3), ("554 5.6.0 spam", 3), (DROP, 3), (KEEP_AND_DROP, 4)),
}
CAMPAIGN = """
import json, django; django.setup()
from django.utils import timezone
from emails.models import Campaign
from emails.services import send_campaign
from leads.models import Lead
from accounts.models import Organization
acme = Organization.objects.create(name="Acme", slug="acme")
now = timezone.now()
Lead.objects.bulk_create([
    Lead(organization=acme, name=f"Lead {n}", email=f"lead{n}@acme.example", email_key=f"lead{n}@acme.example",
         marketing_consent_at=now)
    for n in range(%d)
])
campaign = Campaign.objects.create(organization=acme, name="Spring", subject="News", text="Hello")
print(json.dumps(str(send_campaign(campaign.pk).id)))
"""


@dataclass
class Chance:
    """Faults by lot, from any thread; counts the answers that were cut."""

    random: random.Random
    cut: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, step: str, to: str) -> str | None:
        with self.lock:
            drawn = self.random.uniform(0, 100)
            for fault, share in FAULTS.get(step, ()):
                if drawn < share:
                    self.cut += step == "end" and fault in (DROP, KEEP_AND_DROP)
                    return fault
                drawn -= share
            return None


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """A site of the product, on a database of its own."""
    made: list[Site] = []

    def make(**variables: str) -> Site:
        site = Site(
            tmp_path,
            DJANGO_SETTINGS_MODULE="config.settings.site",
            ENV_FILE=os.devnull,
            DEBUG="true",
            DATABASE_URL=f"sqlite:///{tmp_path}/jobs.sqlite3",
            JOBS_LEASE="5",
            **variables,
        )
        made.append(site)
        done = site.manage("migrate", "--verbosity", "0", limit=120)
        assert done.returncode == 0, done.stderr
        return site

    yield make
    for site in made:
        site.close()


@pytest.mark.parametrize(
    ("mails", "kills", "limit"),
    [
        pytest.param(40, 3, 150, marks=pytest.mark.slow),
        pytest.param(1_000, 12, 1_500, marks=[pytest.mark.slow, pytest.mark.long]),
    ],
)
def test_rows_and_the_servers_ledger_agree_mail_by_mail(
    make_site: Callable[..., Site], mails: int, kills: int, limit: float
) -> None:
    seed = int(os.environ.get("FAULTS_SEED") or random.SystemRandom().randrange(10**6))
    print(f"FAULTS_SEED={seed}")
    chance = Chance(random.Random(seed))
    with MailServer(Behaviour(faults=chance)) as server:
        site = make_site(EMAIL_URL=f"smtp://127.0.0.1:{server.port}")
        begin_campaign(site, mails)
        began = time.monotonic()
        huey = site.run_huey("--queue", "email", "--no-reload")
        killed = kill_workers(huey, server, kills, mails, random.Random(seed))
        wait_for(lambda: has_ended(site), limit, "the campaign ended")
        took = time.monotonic() - began
        assert huey.stop() == 0
        kept = [str(UUID(one.message_id.strip("<>").partition("@")[0])) for one in server.kept]
    rows = {str(UUID(pk)): state for pk, state in site.rows("SELECT id, state FROM emails_emailmessage")}
    states = Counter(rows.values())
    print(f"{dict(states)}; {chance.cut} answers cut, {killed} workers killed, {took:.0f} s")

    assert len(rows) == mails
    assert set(states) <= {"sent", "refused", "deferred", "unclear"}
    assert [pk for pk, times in Counter(kept).items() if times > 1] == [], "sent twice"
    sent = {pk for pk, state in rows.items() if state == "sent"}
    unclear = {pk for pk, state in rows.items() if state == "unclear"}
    assert sent <= set(kept), "called sent, and never taken"
    assert set(kept) <= sent | unclear, "taken, and called refused or failed"
    assert len(unclear) <= chance.cut + killed * IN_FLIGHT
    # the queue's ten a second are mails, all of them
    assert took >= (mails - 10) / 10


def begin_campaign(site: Site, mails: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CAMPAIGN % mails],
        cwd=ROOT,
        env=site.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])


def kill_workers(huey: Huey, server: MailServer, kills: int, mails: int, chance: random.Random) -> int:
    """Kill the worker that often while mails go out, each time after some more have; returns how often."""
    for number in range(kills):
        # spread over the first three quarters, so that the last kill finds mails too
        so_far = mails * 3 * number // (4 * kills) + chance.randrange(3)
        wait_for(lambda goal=so_far: len(server.kept) >= goal, 180, f"{so_far} mails were taken")
        children = len(huey.started("email/1"))
        os.kill(huey.child("email/1"), signal.SIGKILL)
        wait_for(lambda before=children: len(huey.started("email/1")) > before, 60, "another worker")
    return kills


def has_ended(site: Site) -> Any:
    return site.rows("SELECT 1 FROM emails_campaign WHERE state = 'sent'")
