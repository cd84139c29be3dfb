"""Imports with real workers: one of them killed, one import cancelled meanwhile; and a start that is clicked twice."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from accounts.models import Role
from jobs.models import Job
from leads import services
from leads.models import ImportState, LeadImport
from leads.tasks import import_leads
from tests.emails.test_ledger import make_site
from tests.faults.harness import ROOT, Site, wait_for

from .people import make_member, make_organization

__all__ = ["make_site"]
#: Every seventh row is wrong, and every eleventh names somebody again.
ROWS = 4_000
BEGIN = """
import io, json, django; django.setup()
from accounts.models import Membership, Organization, Role, User
from leads import services
acme = Organization.objects.create(name="Acme", slug="acme")
mia = User.objects.create_user("mia@acme.example", "secret")
Membership.objects.create(organization=acme, user=mia, role=Role.MANAGER)
lines = ["Name,Email\\n"]
for n in range(%d):
    address = "wrong" if n %% 7 == 3 else f"l{n - 5}@x.example" if n %% 11 == 10 else f"l{n}@x.example"
    lines.append(f"Lead {n},{address}\\n")
data = "".join(lines).encode()
made = services.store_import(acme, io.BytesIO(data), name="leads.csv", size=len(data), actor=mia)
services.start_import(made.pk, actor=mia)
print(json.dumps(str(made.pk)))
"""


def expected() -> tuple[int, int, int]:
    """New, skipped and wrong rows, counted by hand."""
    seen: set[str] = set()
    new = skipped = wrong = 0
    for number in range(ROWS):
        if number % 7 == 3:
            wrong += 1
            continue
        address = f"l{number - 5 if number % 11 == 10 else number}"
        new, skipped = (new, skipped + 1) if address in seen else (new + 1, skipped)
        seen.add(address)
    return new, skipped, wrong


def answer(site: Site, code: str) -> Any:
    """What a process of the site prints last, as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=site.environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def import_of(site: Site) -> tuple[Any, ...]:
    return site.rows("SELECT state, created, updated, skipped, wrong FROM leads_leadimport")[0]


def number(site: Site, table: str) -> Any:
    return site.rows(f"SELECT count(*) FROM {table}")[0][0]


@pytest.mark.slow
def test_a_killed_worker_doubles_no_lead_and_no_count(make_site: Callable[..., Site]) -> None:
    site = make_site()
    answer(site, BEGIN % ROWS)
    huey = site.run_huey("--queue", "lead", "--no-reload")
    for kill in range(1, 4):
        done = f"SELECT count(*) FROM leads_importpiece WHERE done_at IS NOT NULL AND number >= {2 * kill - 2}"
        wait_for(lambda sql=done: site.rows(sql)[0][0] > 0, 120, "pieces are done")
        os.kill(huey.child("lead/1"), signal.SIGKILL)
        wait_for(lambda more=kill: len(huey.started("lead/1")) > more, 60, "another worker")
    wait_for(lambda: import_of(site)[0] == "done", 180, "the import ended")
    assert huey.stop() == 0
    new, skipped, wrong = expected()
    assert import_of(site) == ("done", new, 0, skipped, wrong)
    assert number(site, "leads_lead") == number(site, "leads_activity") == new
    assert site.rows("SELECT sum(created), sum(skipped), sum(wrong) FROM leads_importpiece") == [(new, skipped, wrong)]
    assert number(site, "emails_emailmessage") == number(site, "leads_crmdelivery") == 0
    (told,) = site.rows("SELECT count(*) FROM jobs_job WHERE task = 'notifications.create_notification'")
    assert told == (1,)


@pytest.mark.slow
def test_an_import_is_cancelled_while_a_worker_is_at_it(make_site: Callable[..., Site]) -> None:
    site = make_site()
    made = answer(site, BEGIN % (5 * ROWS))
    huey = site.run_huey("--queue", "lead", "--no-reload")
    wait_for(lambda: number(site, "leads_lead") > 0, 120, "leads come in")
    answer(
        site,
        "import json, django; django.setup()\n"
        "from accounts.models import User\nfrom leads import services\n"
        f"print(json.dumps(services.cancel_import({made!r}, actor=User.objects.get())))",
    )
    wait_for(lambda: import_of(site)[0] == "cancelled", 120, "the import ended")
    assert huey.stop() == 0
    _state, created, updated, skipped, wrong = import_of(site)
    done = site.rows("SELECT sum(rows) FROM leads_importpiece WHERE done_at IS NOT NULL")[0][0]
    assert created == number(site, "leads_lead") > 0
    assert created + updated + skipped + wrong == done < 5 * ROWS
    assert number(site, "leads_importpiece WHERE content IS NOT NULL") == 0


def test_a_start_that_is_clicked_many_times_at_once_begins_once(each_database: str) -> None:
    acme = make_organization("acme")
    mia = make_member(acme, "mia", Role.MANAGER)
    data = b"Name,Email\n" + b"".join(b"Lead,l%d@x.example\n" % one for one in range(1_100))
    made = services.store_import(acme, io.BytesIO(data), name="leads.csv", size=len(data), actor=mia)
    gate, begun = threading.Barrier(5), []

    def click() -> None:
        gate.wait(30)
        begun.append(services.start_import(made.pk, actor=mia))
        connection.close()

    threads = [threading.Thread(target=click) for _one in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(begun) == [False, False, False, False, True]
    assert Job.objects.filter(task=import_leads.name).count() == 3
    assert LeadImport.objects.get().state == ImportState.RUNNING
