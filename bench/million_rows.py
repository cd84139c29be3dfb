"""The rows of a large site, as plain values: the same ones for every run, made as they are written.

What is where: one organisation holds 60 % of the leads, 199 others share the rest. The jobs are those that the product
starts, about leads, with their attempts; 1 % belong to a queue that no code defines any more.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import accumulate, product
from typing import Any

Row = tuple[Any, ...]

ORGANIZATIONS = 200
MEMBERS = 400
DAY = 86_400.0
#: The jobs' ids are spread over so many days, the leads over so many.
JOB_DAYS, LEAD_DAYS = 30, 365
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)
_FIRST = ("Ada", "Grace", "João", "Mary", "Linus", "Edsger", "Barbara", "Donald", "Élodie", "Ana")
_LAST = ("Lovelace", "Hopper", "Silva", "Jackson", "Torvalds", "Dijkstra", "Liskov", "Knuth", "Martin", "Souza")
_STATUSES = ("new", "contacted", "qualified", "proposal", "won", "lost")
_SOURCES = ("website", "form", "api", "import", "referral", "ads", "event", "other")
_TASKS = (
    ("lead", "leads.calculate_lead_score", "LeadCreated"),
    ("lead", "leads.enrich_lead_data", "LeadCreated"),
    ("lead", "leads.sync_to_crm", "LeadScored"),
    ("lead", "emails.send_follow_up", "LeadCreated"),
    ("email", "emails.send_lead_notification", "LeadCreated"),
    ("email", "emails.send_submission_confirmation", "SubmissionReceived"),
    ("notification", "notifications.create_notification", "LeadCreated"),
    ("notification", "notifications.send_push_notification", "NotificationCreated"),
    ("report", "reports.write_report", ""),
)
_TASK_WEIGHTS = (25, 10, 15, 5, 17, 7, 13, 7, 1)
_ERRORS = (
    "ConnectionError: the CRM at example.org refused the connection",
    "HTTPError: 503 Service Unavailable",
    "PermanentError: the address is refused",
    "ValueError: no such field",
)
_TRACEBACK = 'Traceback (most recent call last):\n  File "leads/work.py", line 90, in sync\n    post()\n' * 6
#: state, weight; `queued` is split into waiting, scheduled and retrying below
_STATES = (("completed", 9_330), ("failed", 300), ("cancelled", 40), ("expired", 25), ("queued", 300), ("active", 1))


@dataclass
class Site:
    """What the tables' rows have in common. `suffix` is what a moment's text ends in on this database."""

    jobs: int
    leads: int
    now: float
    suffix: str
    dice: random.Random = field(default_factory=lambda: random.Random(2026))
    organizations: list[str] = field(default_factory=list)
    person_ids: list[str] = field(default_factory=list)
    lead_ids: list[str] = field(default_factory=list)
    lead_organizations: list[int] = field(default_factory=list)
    notification_ids: list[str] = field(default_factory=list)
    device_ids: list[str] = field(default_factory=list)
    campaign_ids: list[str] = field(default_factory=list)
    key_ids: list[str] = field(default_factory=list)

    def new_id(self) -> str:
        """A random UUID as 32 digits, as both databases take it."""
        return f"{self.dice.getrandbits(128):032x}"[:12] + "4" + f"{self.dice.getrandbits(76):019x}"

    def at(self, seconds: float) -> str:
        """The moment as text."""
        return str(_EPOCH + timedelta(seconds=seconds)) + self.suffix

    def lead_time(self, index: int) -> float:
        """When a lead came in: the first ones first."""
        return self.now - LEAD_DAYS * DAY * (1 - index / self.leads) - 5


def people(site: Site) -> Iterator[tuple[str, tuple[str, ...], Iterator[Row]]]:
    """Tables of organisations and people."""
    now = site.at(site.now - 400 * DAY)
    site.organizations = [site.new_id() for _ in range(ORGANIZATIONS)]
    site.person_ids = [site.new_id() for _ in range(MEMBERS)]
    site.key_ids = [site.new_id() for _ in range(ORGANIZATIONS)]
    site.device_ids = [site.new_id() for _ in range(MEMBERS)]
    yield (
        "accounts_user",
        (
            "id",
            "email",
            "first_name",
            "last_name",
            "password",
            "is_staff",
            "is_active",
            "is_superuser",
            "date_joined",
        ),
        ((id, f"user{i}@example.org", "", "", "!", 1, 1, 0, now) for i, id in enumerate(site.person_ids, 1)),
    )
    yield (
        "accounts_organization",
        ("id", "name", "slug", "language", "country", "created_at"),
        ((id, f"Company {i}", f"company-{i}", "en", "", now) for i, id in enumerate(site.organizations)),
    )
    yield (
        "accounts_membership",
        ("id", "user_id", "organization_id", "role", "language", "created_at"),
        (
            (site.new_id(), id, site.organizations[_home(i)], "manager" if i % 5 == 0 else "agent", "", now)
            for i, id in enumerate(site.person_ids, 1)
        ),
    )
    yield (
        "accounts_apikey",
        ("id", "organization_id", "name", "prefix", "key_hash", "created_at"),
        ((id, site.organizations[i], "site", "esk_abc", f"{i:064x}", now) for i, id in enumerate(site.key_ids)),
    )
    yield (
        "notifications_pushdevice",
        ("id", "user_id", "name", "address", "created_at"),
        ((id, person, "Phone", f"push:{id}", now) for person, id in zip(site.person_ids, site.device_ids, strict=True)),
    )
    yield (
        "notifications_contactpreference",
        ("user_id", "phone", "wants_sms"),
        ((id, f"+55119{i:08}", i % 2) for i, id in enumerate(site.person_ids, 1)),
    )


def leads(site: Site) -> Iterator[tuple[str, tuple[str, ...], Iterator[Row]]]:
    """Leads and what belongs to each: submissions, activities, notes, deliveries."""
    dice = site.dice
    site.lead_ids = [site.new_id() for _ in range(site.leads)]
    site.lead_organizations = [
        0 if dice.random() < 0.6 else dice.randrange(1, ORGANIZATIONS) for _ in range(site.leads)
    ]
    yield (
        "leads_lead",
        (
            *(
                "id",
                "organization_id",
                "name",
                "name_key",
                "email",
                "email_key",
                "phone",
                "company",
                "job_title",
                "message",
            ),
            *("status", "source", "currency", "assignee_id", "score", "score_reasons", "score_version", "enrichment"),
            *("request_consent_at", "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "time_zone"),
            *("locale", "version", "created_at", "updated_at"),
        ),
        (_lead(site, i) for i in range(site.leads)),
    )
    yield (
        "leads_submission",
        (
            *("id", "organization_id", "lead_id", "channel", "state", "body", "content", "locale", "errors", "problem"),
            *("api_key_id", "idempotency_key", "body_hash", "answer_status"),
            *("received_at", "started_at", "processed_at"),
        ),
        (_submission(site, i) for i in range(site.leads)),
    )
    yield (
        "leads_activity",
        ("id", "lead_id", "kind", "detail", "actor_id", "at"),
        (
            (site.new_id(), id, kind, detail, actor, site.at(site.lead_time(i) + later))
            for i, id in enumerate(site.lead_ids)
            for kind, detail, actor, later in (
                ("created", '{"source": "website"}', None, 0),
                ("scored", '{"old": null, "new": 40}', None, 1),
                ("enriched", '{"fields": ["company"]}', None, 2),
                ("status", '{"old": "new", "new": "contacted"}', site.person_ids[i % MEMBERS], 3),
            )
        ),
    )
    yield (
        "leads_note",
        ("id", "lead_id", "author_id", "text", "at"),
        (
            (
                site.new_id(),
                id,
                site.person_ids[i % MEMBERS],
                "Called, will call again.",
                site.at(site.lead_time(i) + 60),
            )
            for i, id in enumerate(site.lead_ids[::5])
        ),
    )
    yield (
        "leads_crmdelivery",
        (
            *("id", "organization_id", "lead_id", "lead_version", "state", "custom_fields", "custom_fields_hash"),
            *("target", "payload", "response_status", "response_body", "error", "tries", "created_at", "sent_at"),
        ),
        (
            (
                *(site.new_id(), site.organizations[site.lead_organizations[i]], id, 1),
                *("failed" if i % 97 == 0 else "sent", "{}", f"{i:064x}", "local record", '{"name": "Ada"}', 200, "ok"),
                *("", 1, site.at(site.lead_time(i) + 10), site.at(site.lead_time(i) + 11)),
            )
            for i, id in enumerate(site.lead_ids)
        ),
    )


def messages(site: Site) -> Iterator[tuple[str, tuple[str, ...], Iterator[Row]]]:
    """Campaigns, mails, notifications and what was sent of them."""
    site.campaign_ids = [site.new_id() for _ in range(60)]
    site.notification_ids = [site.new_id() for _ in range(site.leads * 2)]
    organization, at = site.organizations, site.lead_time
    yield (
        "emails_campaign",
        ("id", "organization_id", "name", "subject", "text", "state", "created_at", "started_at", "ended_at"),
        (
            (
                *(id, organization[i % 3], f"Campaign {i}", "News", "Hello", "sent"),
                *(site.at(at(0) + i * DAY), site.at(at(0) + i * DAY), site.at(at(0) + i * DAY)),
            )
            for i, id in enumerate(site.campaign_ids)
        ),
    )
    yield (
        "emails_emailmessage",
        (
            *("id", "kind", "key", "organization_id", "lead_id", "campaign_id", "to", "language", "params", "state"),
            *("tries", "error", "subject", "text", "html", "created_at", "sent_at"),
        ),
        (_mail(site, i) for i in range(site.leads * 3)),
    )
    yield (
        "notifications_notification",
        ("id", "user_id", "organization_id", "kind", "title", "message", "action_url", "event_id", "created_at"),
        (
            (
                *(id, site.dice.choice(site.person_ids), organization[site.lead_organizations[i // 2]]),
                *("URGENT" if i % 301 == 0 else "INFO", "New lead", "", f"/leads/{site.lead_ids[i // 2]}/"),
                *(site.new_id(), site.at(at(i // 2) + i % 2)),
            )
            for i, id in enumerate(site.notification_ids)
        ),
    )
    yield (
        "notifications_pushmessage",
        (
            *("id", "organization_id", "notification_id", "device_id", "state", "tries", "error", "receipt"),
            *("created_at", "sent_at"),
        ),
        (
            (
                *(site.new_id(), organization[site.lead_organizations[i * 2]], id, site.device_ids[i % MEMBERS]),
                *("sent", 1, "", "local record"),
                *(site.at(at(i * 2)), site.at(at(i * 2))),
            )
            for i, id in enumerate(site.notification_ids[::4])
        ),
    )
    yield (
        "notifications_smsmessage",
        (
            *("id", "key", "organization_id", "lead_id", "notification_id", "to", "text", "state", "tries", "error"),
            *("receipt", "created_at", "sent_at"),
        ),
        (
            (
                *(site.new_id(), f"lead:{i}", organization[site.lead_organizations[i * 2]], id, None),
                *(f"+5511{i:09}", "Call us", "failed" if i % 83 == 0 else "sent", 1, "", "local record"),
                *(site.at(at(i * 2)), site.at(at(i * 2))),
            )
            for i, id in enumerate(site.lead_ids[::2])
        ),
    )


def engine(site: Site) -> Iterator[tuple[str, tuple[str, ...], Iterator[Row]]]:
    """Jobs, attempts, counters and workers."""
    attempts: list[Row] = []
    yield (
        "jobs_job",
        (
            *("id", "run", "queue", "task", "state", "priority", "message", "key", "created_at", "ready_at"),
            *("claimed_at", "started_at", "ended_at", "attempts", "starts", "lost", "alone", "token", "worker_id"),
            *("cancel_requested", "result", "error", "reason", "event", "event_id", "about_type", "about_id"),
            "parent_id",
        ),
        _jobs(site, attempts),
    )
    yield (
        "jobs_attempt",
        (
            *("job_id", "run", "number", "outcome", "worker", "claimed_at", "started_at", "ended_at", "error"),
            "traceback",
        ),
        iter(attempts),
    )
    yield (
        "jobs_taskstat",
        ("queue", "task", "outcome", "ran", "waited", "hour", "part", "jobs", "ran_ms", "waited_ms"),
        _counters(site),
    )
    yield (
        "jobs_process",
        ("id", "kind", "queue", "host", "pid", "concurrency", "started_at", "renewed_at", "lease_until"),
        (
            (site.new_id(), kind, queue, "bench", 1, 5, *(site.at(site.now + later) for later in (0, 0, 30 * DAY)))
            for kind, queue in (("worker", "email"), ("worker", "lead"), ("worker", "notification"), ("keeper", ""))
        ),
    )


def _counters(site: Site) -> Iterator[Row]:
    """Of each task in each hour of a week: shown hours, two recent ones in their parts, and the totals."""
    cells = [("completed", ran, waited) for ran in (1, 2, 3, 5) for waited in (0, 1, 6)]
    cells += [("retried", 4, 0), ("failed", 4, 2), ("lost", -1, -1), ("cancelled", -1, -1)]
    for queue in ("email", "lead", "notification"):
        for task, (outcome, ran, waited) in product((f"{queue}.task_{n}" for n in range(10)), cells):
            for hour in range(24 * 7):
                for part in (-1,) if hour > 1 else range(8):
                    at = site.at((site.now - hour * 3_600) // 3_600 * 3_600)
                    yield (queue, task, outcome, ran, waited, at, part, 40, 20_000, 40_000)
            yield (queue, task, outcome, ran, waited, site.at(0), 0, 4_000, 2_000_000, 4_000_000)


def _home(user: int) -> int:
    """The organisation of a member: each second one works for the largest."""
    return 0 if user % 2 else user // 2 % ORGANIZATIONS


def _lead(site: Site, i: int) -> Row:
    name = f"{_FIRST[i % 10]} {_LAST[i // 10 % 10]} {i}"
    email = f"lead{i}@mail{i % 500}.example"
    at = site.at(site.lead_time(i))
    status = "won" if i % 503 == 0 else _STATUSES[site.dice.randrange(4)]
    return (
        *(site.lead_ids[i], site.organizations[site.lead_organizations[i]], name, name.lower()),
        *(
            email,
            email,
            f"+5511{i:09}",
            f"Company {i % 9_000}",
            "Buyer",
            "I would like to hear more. " * 8,
            status,
            _SOURCES[i % 7],
            "",
        ),
        *(site.person_ids[i % MEMBERS] if i % 3 else None, i % 100, '[{"rule": "phone", "points": 10}]', 1),
        *('{"company": {"value": "Acme", "origin": "domain", "provider": "local"}}', at if i % 2 else None),
        *("news", "mail", "autumn", "", "", "", "en", 1, at, at),
    )


def _submission(site: Site, i: int) -> Row:
    state = "failed" if i % 211 == 0 else "invalid" if i % 50 == 0 else "processed"
    api = site.lead_organizations[i] % 2 == 1
    at = site.at(site.lead_time(i) - 1)
    return (
        *(site.new_id(), site.organizations[site.lead_organizations[i]], site.lead_ids[i], "api" if api else "form"),
        *(state, f'{{"name": "Ada {i}"}}', "{}", "en", "{}", "RuntimeError: a bug" if state == "failed" else ""),
        *(site.key_ids[site.lead_organizations[i]] if api else None, f"key-{i}" if api else None),
        *(f"{i:064x}", 201, at, at, at),
    )


def _mail(site: Site, i: int) -> Row:
    lead = i // 3
    kind = ("lead_notification", "submission_confirmation", "campaign")[i % 3]
    campaign = site.campaign_ids[lead % 60] if kind == "campaign" else None
    to = f"user{1 + lead % MEMBERS}@example.org" if i % 3 == 0 else f"lead{lead}@mail{lead % 500}.example"
    state = "failed" if i % 307 == 0 else "unclear" if i % 5_003 == 0 else "sent"
    at = site.at(site.lead_time(lead) + i % 3)
    return (
        *(site.new_id(), kind, f"{kind}:{i}", site.organizations[site.lead_organizations[lead]], site.lead_ids[lead]),
        *(campaign, to, "en", "{}", state, 1, "", "News of a lead", "Hello " * 20, "<p>Hello</p>" * 20, at, at),
    )


def _jobs(site: Site, attempts: list[Row]) -> Iterator[Row]:
    dice, counter = site.dice, 0
    begin = site.now - JOB_DAYS * DAY
    step = JOB_DAYS * DAY / site.jobs
    tasks, states = list(accumulate(_TASK_WEIGHTS)), list(accumulate(weight for _, weight in _STATES))
    parent, active = None, 0
    for i in range(site.jobs):
        queue, task, event = dice.choices(_TASKS, cum_weights=tasks)[0]
        ((state, _),) = dice.choices(_STATES, cum_weights=states)
        if state == "active" and (active := active + 1) > 30:
            state = "completed"
        created = begin + i * step
        counter = (counter + 1) % 4_096
        id = f"{int(created * 1000):012x}7{counter:03x}{0x8000 | dice.getrandbits(14):04x}{dice.getrandbits(48):012x}"
        lead = dice.randrange(site.leads)
        kind = dice.random() if state == "queued" else 0
        ready = site.now + dice.random() * 3 * DAY if kind > 0.5 else created
        tried = 3 if state == "failed" else 1 if state == "completed" or 0 < kind < 0.2 else 0
        error = dice.choice(_ERRORS) if state == "failed" or 0 < kind < 0.2 else ""
        started = site.at(created + 1) if tried or state == "active" else None
        ended = None if state in ("queued", "active") else site.at(created + 1.2)
        at = site.at(created)
        yield (
            *(id, 1, queue, task, state, dice.choice((1, 3, 5, 5, 5, 5, 8, 10))),
            f'{{"v":1,"args":["{uuid.UUID(site.lead_ids[lead])}"],"kwargs":{{}}}}',
            *(f"crm:{i}" if i % 7 == 0 else None, at, site.at(ready), started, started, ended, tried, tried, 0, 0),
            *(tried, None, 0, '{"outcome":"done"}' if state == "completed" else None, error),
            *("duplicate" if state == "cancelled" else "", event, site.new_id() if event else None),
            *("leads.lead", str(uuid.UUID(site.lead_ids[lead])), parent if i % 3 == 0 else None),
        )
        parent = id
        for number in range(1, tried + 1):
            failed = bool(error) or number < tried
            text = error or (_ERRORS[0] if failed else "")
            attempts.append(
                (
                    *(id, 1, number, "failed" if failed else "completed", "bench:1", at, started),
                    *(site.at(created + 1.2), text, _TRACEBACK if failed else ""),
                )
            )


def moment() -> float:
    """Now, in seconds since 1970."""
    return datetime.now(UTC).timestamp()
