"""`manage.py send_campaign ID`: begin to send a campaign; with an option, pause, resume or cancel it."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from emails import services
from emails.models import Campaign
from jobs.command_line import TranslatedCommand


class Command(TranslatedCommand):
    """Exit codes: 0 done, 1 not found or nothing to do, 2 wrong usage."""

    help = gettext_noop("Begin to send a campaign to the leads that it is for and who agreed to get mail.")

    def add_arguments(self, parser: CommandParser) -> None:
        """The campaign's id, and what else to do with it."""
        parser.add_argument(
            "campaign", type=UUID, metavar=_("CAMPAIGN"), help=_("The campaign's id, as the admin shows it.")
        )
        others = parser.add_mutually_exclusive_group()
        others.add_argument("--pause", action="store_true", help=_("Let none of its emails leave until it is resumed."))
        others.add_argument("--resume", action="store_true", help=_("Go on with a paused campaign."))
        others.add_argument("--cancel", action="store_true", help=_("Never send the rest of its emails."))
        parser.add_argument("--json", action="store_true", help=_("Print one JSON document."))

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it, and say how it stands."""
        campaign = Campaign.objects.filter(pk=options["campaign"]).first()
        if campaign is None:
            raise CommandError(_("there is no campaign %(id)s") % {"id": options["campaign"]}, returncode=1)
        others = {
            "pause": (services.pause_campaign, _("campaign %(id)s cannot be paused: it is %(state)s")),
            "resume": (services.resume_campaign, _("campaign %(id)s cannot be resumed: it is %(state)s")),
            "cancel": (services.cancel_campaign, _("campaign %(id)s cannot be cancelled: it is %(state)s")),
        }
        for name, (service, refusal) in others.items():
            if options[name]:
                done = service(campaign.pk)
                campaign.refresh_from_db()
                if not done:
                    names = {"id": campaign.id, "state": campaign.get_state_display()}
                    raise CommandError(refusal % names, returncode=1)
                self._say(options, campaign, _("campaign '%(name)s' is %(state)s"))
                return
        handle = services.send_campaign(campaign.id)
        campaign.refresh_from_db()
        if handle is None:
            text = _("campaign %(id)s was begun before: it is %(state)s")
            raise CommandError(text % {"id": campaign.id, "state": campaign.get_state_display()}, returncode=1)
        self._say(
            options, campaign, _("campaign '%(name)s' is being sent; its first job is %(job)s"), job=str(handle.id)
        )

    def _say(self, options: dict[str, Any], campaign: Campaign, text: str, **more: str) -> None:
        if options["json"]:
            self.stdout.write(json.dumps({"campaign": str(campaign.id), "state": campaign.state, **more}))
        else:
            self.stdout.write(text % {"name": campaign.name, "state": campaign.get_state_display(), **more})
