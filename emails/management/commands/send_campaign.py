"""`manage.py send_campaign ID`: begin to send a campaign."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from emails.models import Campaign
from emails.services import send_campaign
from jobs.command_line import TranslatedCommand


class Command(TranslatedCommand):
    """Exit codes: 0 begun, 1 not found or begun before, 2 wrong usage."""

    help = gettext_noop("Begin to send a campaign to all leads of its organization who agreed to get mail.")

    def add_arguments(self, parser: CommandParser) -> None:
        """The campaign's id."""
        parser.add_argument(
            "campaign", type=UUID, metavar=_("CAMPAIGN"), help=_("The campaign's id, as the admin shows it.")
        )
        parser.add_argument("--json", action="store_true", help=_("Print one JSON document."))

    def handle(self, *args: Any, **options: Any) -> None:
        """Begin, and name the job."""
        campaign = Campaign.objects.filter(pk=options["campaign"]).first()
        if campaign is None:
            raise CommandError(_("there is no campaign %(id)s") % {"id": options["campaign"]}, returncode=1)
        handle = send_campaign(campaign.id)
        if handle is None:
            campaign.refresh_from_db()
            text = _("campaign %(id)s was begun before: it is %(state)s")
            raise CommandError(text % {"id": campaign.id, "state": campaign.get_state_display()}, returncode=1)
        if options["json"]:
            self.stdout.write(json.dumps({"campaign": str(campaign.id), "job": str(handle.id)}))
        else:
            text = _("campaign '%(name)s' is being sent; its first job is %(job)s")
            self.stdout.write(text % {"name": campaign.name, "job": handle.id})
