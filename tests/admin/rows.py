"""Some rows of every model that has a page in the admin; each test of all pages starts from them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.db.models import UUIDField
from django.utils import timezone

from accounts.models import ApiKey, Invitation, Membership, Organization, User
from emails.models import Campaign, EmailMessage, Suppression
from jobs import clock
from jobs.models import Attempt, Batch, Job, Operation, Schedule
from leads.models import Activity, ConsentRecord, CrmDelivery, CrmWebhook, Lead, Note, Submission
from notifications.models import ContactPreference, Notification, PushDevice, PushMessage, SmsMessage


def create(model: Any, **values: Any) -> Any:
    """A row whose key is higher than those before it: which rows are the newest is not left to chance."""
    if isinstance(model._meta.pk, UUIDField):
        values.setdefault("pk", clock.new_id())
    return model.objects.create(**values)


def user(address: str) -> User:
    """A user, in the same order."""
    return User.objects.create_user(address, pk=clock.new_id())


class Rows:
    """Makes rows in rounds: each round adds one row of every model, all of them below the first round's parents."""

    def __init__(self) -> None:
        self.round = 0
        self.first: dict[str, Any] = {}

    #: model label -> how to make a row of it; the parents come first
    makers: dict[str, Callable[[Rows], Any]]

    def add(self, rounds: int) -> None:
        """Add so many rows of every model, and log lines about the first ones."""
        for _ in range(rounds):
            self.round += 1
            for label, make in self.makers.items():
                row = make(self)
                self.first.setdefault(label, row)
                first = self.first[label]
                create(
                    LogEntry,
                    user=self.first["accounts.user"],
                    content_type=ContentType.objects.get_for_model(first),
                    object_id=str(first.pk),
                    object_repr=str(self.round),
                    action_flag=CHANGE,
                    change_message="Changed.",
                )

    def text(self) -> str:
        """A value that no other round has."""
        return f"row{self.round:02}"

    def parents(self, **labels: str) -> dict[str, Any]:
        """The first rows of these models, by the names of the fields that point to them."""
        return {name: self.first[label] for name, label in labels.items()}


def _membership(rows: Rows) -> Membership:
    """A member of the first organisation, who is also the only one in an organisation of its own."""
    member = user(f"with-{rows.text()}@example.org")
    return create(Membership, organization=rows.first["accounts.organization"], user=member)


def _member(rows: Rows) -> User:
    """The user of this round's membership."""
    return User.objects.get(email=f"with-{rows.text()}@example.org")


def _lead(rows: Rows) -> Lead:
    email = f"{rows.text()}@mail.example"
    return create(
        Lead,
        name=f"Ada {rows.round}",
        email=email,
        email_key=email,
        **rows.parents(organization="accounts.organization", assignee="accounts.user"),
    )


def _submission(rows: Rows) -> Submission:
    create(Note, text="Called.", **rows.parents(lead="leads.lead", author="accounts.user"))
    create(Activity, kind=Activity.Kind.CREATED, **rows.parents(lead="leads.lead", actor="accounts.user"))
    parents = rows.parents(organization="accounts.organization", lead="leads.lead", api_key="accounts.apikey")
    return create(
        Submission, channel="api", state="failed", body="{}", body_hash="x", idempotency_key=rows.text(), **parents
    )


def _mail(rows: Rows) -> EmailMessage:
    parents = rows.parents(organization="accounts.organization", lead="leads.lead", campaign="emails.campaign")
    return create(
        EmailMessage, kind="campaign", key=rows.text(), to="ada@mail.example", html="<p>", state="sent", **parents
    )


def _job(rows: Rows) -> Job:
    now, id = clock.now(), clock.new_id()
    lead = str(rows.first["leads.lead"].pk)
    return create(
        Job,
        id=id,
        queue="lead",
        task="leads.sync_to_crm",
        state=("failed", "completed", "queued")[rows.round % 3],
        message='{"v": 1, "args": [], "kwargs": {}}',
        created_at=now,
        ready_at=now + timedelta(hours=1),
        error="HTTPError: 503 Service Unavailable",
        event="LeadCreated",
        event_id=uuid4(),
        about_type="leads.lead",
        about_id=lead,
        parent_id=rows.first["jobs.job"].pk if rows.round > 1 else id,
    )


Rows.makers = {
    "accounts.user": lambda rows: user(f"{rows.text()}@example.org"),
    "auth.group": lambda rows: create(Group, name=rows.text()),
    "accounts.organization": lambda rows: create(
        Organization, name=rows.text(), slug="company-0" if rows.round == 1 else rows.text()
    ),
    "accounts.membership": _membership,
    "accounts.apikey": lambda rows: create(
        ApiKey,
        name=rows.text(),
        prefix="esk_",
        key_hash=rows.text(),
        **rows.parents(organization="accounts.organization"),
    ),
    "accounts.invitation": lambda rows: create(
        Invitation,
        email=f"{rows.text()}@mail.example",
        sent_at=timezone.now(),
        **rows.parents(organization="accounts.organization", invited_by="accounts.user"),
    ),
    "leads.crmwebhook": lambda rows: CrmWebhook.objects.create(
        organization=Organization.objects.get(name=rows.text()), url=f"https://{rows.text()}.example/"
    ),
    "leads.lead": _lead,
    "leads.submission": _submission,
    "leads.consentrecord": lambda rows: create(
        ConsentRecord,
        purpose="request",
        act="given",
        source="form",
        **rows.parents(organization="accounts.organization", lead="leads.lead"),
    ),
    "leads.crmdelivery": lambda rows: create(
        CrmDelivery,
        lead_version=rows.round,
        custom_fields_hash="x",
        state="sent",
        **rows.parents(organization="accounts.organization", lead="leads.lead"),
    ),
    "emails.campaign": lambda rows: create(
        Campaign, name=rows.text(), subject="News", text="Hello", **rows.parents(organization="accounts.organization")
    ),
    "emails.emailmessage": _mail,
    "emails.suppression": lambda rows: create(
        Suppression,
        address_hash=rows.text(),
        reason="bounced",
        **rows.parents(organization="accounts.organization", message="emails.emailmessage"),
    ),
    "notifications.notification": lambda rows: create(
        Notification,
        title="New lead",
        event_id=uuid4(),
        **rows.parents(user="accounts.user", organization="accounts.organization"),
    ),
    "notifications.smsmessage": lambda rows: create(
        SmsMessage,
        key=rows.text(),
        to="+5511912345678",
        text="Call us",
        **rows.parents(
            organization="accounts.organization", lead="leads.lead", notification="notifications.notification"
        ),
    ),
    "notifications.pushdevice": lambda rows: create(PushDevice, address=rows.text(), user=_member(rows)),
    "notifications.pushmessage": lambda rows: create(
        PushMessage,
        **rows.parents(organization="accounts.organization", notification="notifications.notification"),
        device=PushDevice.objects.get(address=rows.text()),
    ),
    "notifications.contactpreference": lambda rows: create(ContactPreference, user=_member(rows)),
    "jobs.job": _job,
    "jobs.attempt": lambda rows: create(
        Attempt, job=rows.first["jobs.job"], outcome="failed", ended_at=timezone.now(), error="503", traceback="File"
    ),
    "jobs.batch": lambda rows: create(Batch, name=rows.text(), created_at=timezone.now()),
    "jobs.operation": lambda rows: create(
        Operation,
        verb="retry",
        chosen=f'{{"queue": "{rows.text()}"}}',
        by_id=str(rows.first["accounts.user"].pk),
        newest=clock.new_id(),
        last=clock.new_id(),
        total=3,
        created_at=timezone.now(),
        next_at=timezone.now(),
        ended_at=timezone.now(),
    ),
    "jobs.schedule": lambda rows: create(
        Schedule, name=rows.text(), task="jobs.none", seconds=60, enabled=False, last_tick=timezone.now()
    ),
}
