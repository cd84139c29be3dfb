"""`manage.py demo_data`: two organisations to try the product with, made on the first start only."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction
from django.urls import reverse

from leads.models import Organization, Role
from leads.services import add_member, create_api_key

GROUP = "Esteira staff"
#: What a member of the staff may do: all with these models, and read the jobs.
APPS = ("leads", "notifications", "emails")
JOB_PERMISSIONS = ("view_job", "view_attempt", "retry_job", "cancel_job", "promote_job", "pause_queue")


@dataclass(frozen=True)
class DemoOrganization:
    """One organisation, and its people: user name, first name, role."""

    name: str
    slug: str
    language: str
    country: str
    people: tuple[tuple[str, str, Role], ...]


ORGANIZATIONS = (
    DemoOrganization(
        "Northwind Machines",
        "northwind",
        "en",
        "GB",
        (("nora", "Nora", Role.MANAGER), ("neil", "Neil", Role.MEMBER)),
    ),
    DemoOrganization(
        "Padaria do Sul",
        "padaria",
        "pt-br",
        "BR",
        (("paula", "Paula", Role.MANAGER), ("pedro", "Pedro", Role.MEMBER)),
    ),
)
SUPERUSER = "admin"


class Command(BaseCommand):
    """Makes nothing when its organisations exist. Passwords and key are random, and shown only with DEBUG."""

    help = "Make two organizations with staff users and an API key, on the first start only."

    def add_arguments(self, parser: CommandParser) -> None:
        """How to print."""
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make what is missing, and print what there is."""
        with transaction.atomic():
            document = _make()
        if not settings.DEBUG:
            document = {**document, "api_key": None}
            document["users"] = [{**user, "password": None} for user in document["users"]]
        if options["json"]:
            self.stdout.write(json.dumps(document, indent=2))
        else:
            self._tell(document)

    def _tell(self, document: dict[str, Any]) -> None:
        if not document["created"]:
            self.stdout.write(
                "The demo data exists; nothing was made. `manage.py changepassword admin` sets a password."
            )
        for user in document["users"]:
            password = user["password"] or "(not shown)"
            self.stdout.write(f"user {user['username']:<8} password {password}  {user['organization'] or 'superuser'}")
        if document["api_key"]:
            self.stdout.write(f"API key {document['api_key']} of {document['organization']}")
        for form in document["forms"]:
            self.stdout.write(f"form {form}")
        self.stdout.write(f"admin {document['admin']}")


def _make() -> dict[str, Any]:
    users: list[dict[str, Any]] = []
    created = not Organization.objects.filter(slug__in=[demo.slug for demo in ORGANIZATIONS]).exists()
    api_key = None
    if created:
        users.append(_make_user(SUPERUSER, "Ada", is_superuser=True))
        group = _make_group()
        for demo in ORGANIZATIONS:
            organization = Organization.objects.create(
                name=demo.name, slug=demo.slug, language=demo.language, country=demo.country
            )
            for username, first_name, role in demo.people:
                users.append(_make_user(username, first_name, organization=organization, role=role, group=group))
        first = Organization.objects.get(slug=ORGANIZATIONS[0].slug)
        api_key = create_api_key(first, "Demo")[1]
    else:
        names = [SUPERUSER, *(username for demo in ORGANIZATIONS for username, _name, _role in demo.people)]
        known = get_user_model()._default_manager.filter(username__in=names).order_by("pk")
        users = [{"username": user.get_username(), "password": None, "organization": None} for user in known]
    forms = [reverse("leads:form", args=[demo.slug]) for demo in ORGANIZATIONS]
    return {
        "created": created,
        "users": users,
        "organization": ORGANIZATIONS[0].slug,
        "api_key": api_key,
        "form": forms[0],
        "forms": forms,
        "api_docs": reverse("leads:api_docs"),
        "inbox": reverse("notifications:inbox"),
        "admin": reverse("admin:index"),
    }


def _make_user(
    username: str,
    first_name: str,
    *,
    organization: Organization | None = None,
    role: Role = Role.MEMBER,
    group: Group | None = None,
    is_superuser: bool = False,
) -> dict[str, Any]:
    users = get_user_model()._default_manager
    user = users.filter(username=username).first()
    password = None
    if user is None:
        password = secrets.token_urlsafe(9)
        user = get_user_model()(
            username=username,
            first_name=first_name,
            email=f"{username}@example.org",
            is_staff=True,
            is_superuser=is_superuser,
        )
        user.set_password(password)
        user.save()
    if group is not None:
        user.groups.add(group)
    if organization is not None:
        add_member(organization, user, role=role)
    return {
        "username": username,
        "password": password,
        "organization": organization.slug if organization else None,
    }


def _make_group() -> Group:
    group, _created = Group.objects.get_or_create(name=GROUP)
    permissions = Permission.objects.filter(content_type__app_label__in=APPS)
    group.permissions.set([*permissions, *Permission.objects.filter(codename__in=JOB_PERMISSIONS)])
    return group
