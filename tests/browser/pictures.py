"""The pictures of docs/images: the same people, leads and jobs each time, on a site of its own; `make pictures`.

.venv/bin/python -m tests.browser.pictures [FOLDER]
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parents[2]
#: Bytes of one picture.
LARGEST = 150_000
LEADS = (
    ("Maria Souza", "Fazenda Boa Vista", "We would like a quote for 40 seats."),
    ("Rafael Albuquerque", "Clínica Vida Nova", "Can we see the three-bedroom flat this week?"),
    ("Beatriz Nogueira", "Padaria Central", "What would a contract for three years cost?"),
    ("Joaquim Prado", "Prado & Filhos", "Please call me after six."),
    ("Helena Duarte", "Studio Duarte", "Two rooms, near the metro."),
    ("Otávio Brandão", "Brandão Advogados", "We move in March and need an office for twelve people."),
    ("Luiza Campos", "", "Is the house in Pinheiros still free?"),
    ("Caio Mendes", "Mendes Transportes", "A warehouse of 2,000 m² near the ring road."),
    ("Sofia Ramos", "Ramos Pilates", "I would like to visit on Saturday."),
    ("Tiago Vasconcelos", "Café do Porto", ""),
    ("Camila Freitas", "Colégio Horizonte", "Do you have anything with a yard?"),
    ("Diego Arruda", "", "My budget is 900,000."),
)
STATUSES = (
    "new",
    "new",
    "contacted",
    "qualified",
    "new",
    "contacted",
    "won",
    "qualified",
    "new",
    "lost",
    "contacted",
    "new",
)
SCORES = (92, 81, 74, 66, 58, 88, 41, 77, 35, 22, 63, 49)
TASKS = {
    "email": ("emails.send_lead_notification", "emails.send_campaign_email"),
    "lead": ("leads.calculate_lead_score", "leads.enrich_lead_data", "leads.sync_to_crm"),
    "notification": ("notifications.create_notification", "notifications.send_push_notification"),
}
TRACEBACK = """Traceback (most recent call last):
  File "/srv/esteira/leads/tasks.py", line 61, in sync_to_crm
    deliver(delivery)
  File "/srv/esteira/leads/crm/webhook.py", line 88, in deliver
    raise CrmRefused(f"{response.status_code} {response.reason}")
leads.crm.webhook.CrmRefused: 422 Unprocessable Content: the field "segment" is unknown
"""


def main() -> None:
    """Fill, open, photograph."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "docs" / "images"
    with tempfile.TemporaryDirectory() as place:
        os.environ |= {
            "TEST_DATABASE_URL": f"sqlite:///{place}/pictures.sqlite3",
            "DJANGO_SETTINGS_MODULE": "config.settings.test",
            "DJANGO_ALLOW_ASYNC_UNSAFE": "true",
        }
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        people = _fill()
        folder.mkdir(parents=True, exist_ok=True)
        large = _photograph(folder, people)
    if large:
        sys.exit(f"larger than {LARGEST:,} bytes: {', '.join(large)}")


def _photograph(folder: Path, people: dict[str, Any]) -> list[str]:
    from django.test import Client
    from pytest_django.live_server_helper import LiveServer

    from .visitor import DESKTOP, PHONE, Visitor, started_browser

    large = []
    server = LiveServer("localhost")
    try:
        with started_browser() as browser:
            for name, who, path, scheme, size in _pictures(people):
                width, height = {"phone": PHONE, "low": (DESKTOP[0], 640)}.get(size, DESKTOP)
                viewport = {"width": width, "height": height}
                visitor = Visitor(browser, server.url, color_scheme=scheme, viewport=viewport)
                client = Client()
                client.force_login(people[who])
                visitor.sign_in(client.cookies["sessionid"].value)
                page = visitor.open(path)
                file = folder / f"{name}.png"
                page.screenshot(path=file)
                visitor.close()
                if visitor.faults:
                    sys.exit("\n".join(visitor.faults))
                print(f"{file.name:<28}{file.stat().st_size:>9,}")
                large += [file.name] if file.stat().st_size > LARGEST else []
    finally:
        server.stop()
    return large


def _pictures(people: dict[str, Any]) -> list[tuple[str, str, str, Any, str]]:
    lead, job = people["lead"].get_absolute_url(), f"/admin/jobs/job/{people['job'].pk}/change/"
    return [
        ("overview-light", "boss", "/admin/jobs/?range=day", "light", "desk"),
        ("overview-dark", "boss", "/admin/jobs/?range=day", "dark", "desk"),
        ("overview-phone", "boss", "/admin/jobs/?range=day", "light", "phone"),
        ("queue-light", "boss", "/admin/jobs/job/queues/lead/?range=day", "light", "desk"),
        ("job-light", "boss", job, "light", "desk"),
        ("job-dark", "boss", job, "dark", "desk"),
        ("job-phone", "boss", job, "dark", "phone"),
        ("jobs-light", "boss", "/admin/jobs/job/", "light", "low"),
        ("leads-light", "ana", "/leads/?show=all", "light", "desk"),
        ("board-light", "ana", "/leads/board/?show=all", "light", "desk"),
        ("board-dark", "ana", "/leads/board/?show=all", "dark", "desk"),
        ("lead-light", "ana", lead, "light", "desk"),
        ("lead-phone", "ana", lead, "light", "phone"),
        ("inbox-phone", "ana", "/notifications/", "dark", "phone"),
    ]


def _fill() -> dict[str, Any]:
    from accounts.models import Membership, Organization, Role, User

    aurora = Organization.objects.create(name="Aurora Imóveis", slug="aurora", language="en", country="BR")
    people: dict[str, Any] = {"boss": User.objects.create_superuser("operator@example.org", "x")}
    for name, first, last, role in (("ana", "Ana", "Lima", Role.OWNER), ("bruno", "Bruno", "Reis", Role.AGENT)):
        people[name] = User.objects.create_user(f"{name}@example.org", "x", first_name=first, last_name=last)
        Membership.objects.create(organization=aurora, user=people[name], role=role)
    people["lead"] = _leads(aurora, people)
    people["job"] = _jobs(people["lead"])
    return people


def _leads(aurora: Any, people: dict[str, Any]) -> Any:
    from django.utils import timezone

    from leads.models import Activity, Lead, Note, Submission
    from notifications.models import Notification

    now, rows = timezone.now(), []
    for number, (name, company, message) in enumerate(LEADS):
        at = now - timedelta(minutes=7 + 53 * number * number)
        first = name.split()[0].casefold()
        email = f"{first}@{company.split()[0].casefold() if company else 'mail'}.example".replace("í", "i")
        status, score = STATUSES[number], SCORES[number]
        lead = Lead.objects.create(
            organization=aurora,
            name=name,
            email=email,
            email_key=email,
            company=company,
            message=message,
            phone=f"+551196123{4500 + number}",
            status=status,
            score=score,
            source=("website", "referral")[number % 3 == 2],
            assignee=(people["ana"], people["bruno"], None)[number % 3],
            score_reasons=_reasons(score),
        )
        Lead.objects.filter(pk=lead.pk).update(created_at=at, touched_at=at)
        rows.append(lead)
        Notification.objects.create(
            user=people["ana"],
            organization=aurora,
            kind="INFO",
            title="New lead",
            action_url=lead.get_absolute_url(),
            read_at=None if number < 3 else now,
        )
    shown = rows[0]
    Submission.objects.create(
        organization=aurora,
        lead=shown,
        channel="form",
        state="processed",
        body="{}",
        body_hash="x",
        content={"message": LEADS[0][2]},
    )
    for kind, detail in (
        (Activity.Kind.CREATED, {"source": "website"}),
        (Activity.Kind.SCORED, {"old": None, "new": 92}),
        (Activity.Kind.ASSIGNED, {}),
    ):
        Activity.objects.create(lead=shown, kind=kind, detail=detail, actor=people["ana"])
    Note.objects.create(lead=shown, author=people["ana"], text="Called: wants to see two farms next week.")
    return shown


def _reasons(score: int) -> list[dict[str, Any]]:
    return [
        {"rule": "phone", "points": 20},
        {"rule": "message", "points": 15},
        {"rule": "company", "points": score - 35},
    ]


def _jobs(lead: Any) -> Any:
    from jobs import clock
    from jobs.models import Attempt, Job, Process, TaskStat

    dice, now = random.Random(7), clock.now()
    for number in range(400):
        queue = dice.choice(list(TASKS))
        # what waits or runs is young, and one queue has had trouble
        state = "completed" if number > 14 else dice.choice(("queued", "queued", "active", "completed"))
        state = "failed" if queue == "lead" and number % 37 == 5 else state
        _job(
            Job,
            dice,
            queue,
            dice.choice(TASKS[queue]),
            state,
            now - timedelta(seconds=1 + (number if number < 15 else 20 * number)),
            lead,
        )
    failed = _job(Job, dice, "lead", "leads.sync_to_crm", "failed", now - timedelta(minutes=12), lead)
    for number, at in enumerate((720, 714, 706), start=1):
        began = now - timedelta(seconds=at)
        Attempt.objects.create(
            job_id=failed.pk,
            number=number,
            outcome="failed",
            worker="web-1:4711",
            claimed_at=began,
            started_at=began,
            ended_at=began + timedelta(milliseconds=800),
            error=failed.error,
            traceback=TRACEBACK,
        )
    top = now.replace(minute=0, second=0, microsecond=0)
    for queue, tasks in TASKS.items():
        for task in tasks:
            for hour in range(30):
                for outcome, ran, waited, share in (
                    ("completed", 5, 3, 60),
                    ("completed", 7, 5, 30),
                    ("completed", 9, 7, 8),
                    ("failed", 8, 4, 2),
                ):
                    count = dice.randrange(share // 2, share + 1)
                    TaskStat.objects.create(
                        queue=queue,
                        task=task,
                        outcome=outcome,
                        ran=ran,
                        waited=waited,
                        hour=top - timedelta(hours=hour),
                        part=-1 if hour > 1 else 0,
                        jobs=count,
                        ran_ms=count * 80 * ran,
                        waited_ms=count * 40 * waited,
                    )
    for number, (kind, queue) in enumerate((*(("worker", queue) for queue in TASKS), ("keeper", ""))):
        Process.objects.create(
            id=clock.new_id(),
            kind=kind,
            queue=queue,
            host="web-1",
            pid=4711 + number,
            concurrency=5 if queue else 0,
            started_at=now - timedelta(hours=5),
            renewed_at=now,
            lease_until=now + timedelta(hours=1),
            duties_at=now,
        )
    return failed


def _job(model: Any, dice: random.Random, queue: str, task: str, state: str, at: Any, lead: Any) -> Any:
    from jobs import clock

    started = at + timedelta(milliseconds=dice.randrange(20, 900)) if state != "queued" else None
    ended = started + timedelta(milliseconds=dice.randrange(20, 1500)) if started and state != "active" else None
    failed = state == "failed"
    return model.objects.create(
        id=clock.new_id(),
        queue=queue,
        task=task,
        state=state,
        message=f'{{"v": 1, "args": ["{lead.pk}"], "kwargs": {{}}}}',
        created_at=at,
        ready_at=at,
        started_at=started,
        claimed_at=started,
        ended_at=ended,
        attempts=3 if failed else 1 if started else 0,
        starts=3 if failed else 1 if started else 0,
        error='CrmRefused: 422 Unprocessable Content: the field "segment" is unknown' if failed else "",
        event="LeadCreated",
        event_id=lead.pk,
        about_type="leads.lead",
        about_id=str(lead.pk),
    )


if __name__ == "__main__":
    main()
