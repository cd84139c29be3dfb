"""What of mail needs a person: `jobs status` and the admin's overview tell it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Organization
from jobs import Finding
from leads.models import EffectState
from leads.models.effect import SUPPRESSED
from leads.recipients import people_to_mail

from .models import EmailMessage
from .suppression import is_suppressed

#: For so long news of a lead that no mail told is looked at.
LOOKED_BACK = timedelta(days=7)
#: So many organisations are named.
NAMED = 5


def find() -> Iterator[Finding]:
    """Organisations whose news of leads reaches nobody by mail."""
    untold = EmailMessage.objects.filter(
        kind=EmailMessage.Kind.LEAD_NOTIFICATION,
        created_at__gt=timezone.now() - LOOKED_BACK,
        state=EffectState.SKIPPED,
        error=SUPPRESSED,
        organization__isnull=False,
    )
    text = _(
        "News of the leads of %(name)s reaches nobody by mail, since earlier mails to every member bounced or were "
        "reported as spam: give the organization a member with another address, or allow mail to an address again "
        "under Suppressed addresses."
    )
    for organization in Organization.objects.filter(pk__in=untold.values("organization")).order_by("name")[:NAMED]:
        people = people_to_mail(organization.pk, None)
        if people and all(is_suppressed(person.email, organization.pk) for person in people):
            address = reverse("admin:emails_suppression_changelist")
            yield Finding("nobody_reached", "", text % {"name": organization.name}, address=address)
