"""`manage.py demo_data`: two organizations, their members and API keys, and what the apps add to them, made once."""

from __future__ import annotations

import json
import secrets
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.db import transaction
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from accounts.models import Organization, Role, User
from accounts.services import add_member, create_api_key
from jobs.command_line import TranslatedCommand
from leads.demo import parts
from leads.models import CrmWebhook

#: A reserved port, where nobody listens: that lead shows how a delivery fails, is tried again and ends.
UNREACHABLE_CRM = "http://127.0.0.1:1024/crm"
ORGANIZATIONS: list[dict[str, Any]] = [
    {"name": "Aurora Imóveis", "slug": "aurora", "language": "pt-br", "country": "BR"},
    {"name": "Northwind Solar", "slug": "northwind", "country": "US"},
]
MEMBERS = [
    ("ana@example.org", "Ana Lima", "aurora", Role.OWNER),
    ("bruno@example.org", "Bruno Reis", "aurora", Role.AGENT),
    ("carol@example.org", "Carol Jones", "northwind", Role.MANAGER),
]
ADMIN = "admin@example.org"


class Command(TranslatedCommand):
    """Makes the demo data on the first call; later calls only say what there is."""

    help = gettext_noop("Make two organizations, their members and API keys to try the product with (needs DEBUG).")

    def add_arguments(self, parser: CommandParser) -> None:
        """The option of the dev commands."""
        parser.add_argument("--json", action="store_true", help=_("Print one JSON document."))

    def handle(self, *args: Any, **options: Any) -> None:
        """Make the data unless it is there, and print how to get in."""
        if not settings.DEBUG:
            raise CommandError(_("demo_data prints passwords and keys: it works with DEBUG=true only"))
        with transaction.atomic():
            created = not Organization.objects.filter(slug=ORGANIZATIONS[0]["slug"]).exists()
            document = _make() if created else {}
        document = {
            "created": created,
            "users": [ADMIN, *(name for name, *_ in MEMBERS)],
            "form": reverse("leads:form", args=[ORGANIZATIONS[0]["slug"]]),
            **document,
        }
        if options["json"]:
            self.stdout.write(json.dumps(document))
            return
        if not created:
            self.stdout.write(_("The demo data is there already; nothing was changed."))
            return
        text = _("Users: %(users)s; password of each: %(password)s")
        self.stdout.write(text % {"users": ", ".join(document["users"]), "password": document["password"]})
        for slug, key in document["api_keys"].items():
            self.stdout.write(_("API key of %(slug)s: %(key)s") % {"slug": slug, "key": key})


def _make() -> dict[str, Any]:
    password = secrets.token_urlsafe(9)
    organizations = {fields["slug"]: Organization.objects.create(**fields) for fields in ORGANIZATIONS}
    CrmWebhook.objects.create(organization=organizations["northwind"], url=UNREACHABLE_CRM)
    User.objects.create_superuser(ADMIN, password)
    for email, full_name, slug, role in MEMBERS:
        first, last = full_name.split()
        user = User.objects.create_user(email, password, first_name=first, last_name=last)
        add_member(organizations[slug], user, role=role)
    for part in parts:
        part(organizations)
    keys = {slug: create_api_key(organization, "demo")[1] for slug, organization in organizations.items()}
    return {"password": password, "api_keys": keys, "api_key": keys[ORGANIZATIONS[0]["slug"]]}
