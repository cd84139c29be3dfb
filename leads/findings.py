"""What of leads needs a person: `jobs status` and the admin's overview tell it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.db.models import Exists, OuterRef
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import Membership, Organization
from admin_lists.counts import capped_count
from jobs import Finding

from .models import OPEN, Lead, Submission

#: The request, and the job's own tries, are over by then.
OPEN_FOR = timedelta(minutes=3)
#: So many organisations are named.
NAMED = 5


def find() -> Iterator[Finding]:
    """Submissions that did not become leads, and leads of which nobody hears."""
    yield from _submissions_open()
    yield from _nobody_hears()


def _submissions_open() -> Iterator[Finding]:
    waiting = Submission.objects.filter(state__in=OPEN, received_at__lt=timezone.now() - OPEN_FOR).order_by()
    count = capped_count(waiting)
    if not count.number:
        return
    text = ngettext(
        "%(count)s submission has not become a lead: open it in the admin, under Submissions, “not processed”; mend "
        "what its problem says, and process it again.",
        "%(count)s submissions have not become leads: open them in the admin, under Submissions, “not processed”; mend "
        "what their problem says, and process them again.",
        count.number,
    )
    shown = str(count) if count.more else str(count.number)
    address = f"{reverse('admin:leads_submission_changelist')}?work=open"
    yield Finding("submissions_open", "", text % {"count": shown}, address=address)


def _nobody_hears() -> Iterator[Finding]:
    active = Membership.objects.filter(organization=OuterRef("pk"), user__is_active=True)
    leads = Lead.present.filter(organization=OuterRef("pk"))
    text = _("Nobody hears of the leads of %(name)s: give the organization an active member.")
    for name in (
        Organization.objects.filter(~Exists(active), Exists(leads)).order_by("name").values_list("name", flat=True)
    )[:NAMED]:
        address = reverse("admin:accounts_organization_changelist")
        yield Finding("nobody_hears", "", text % {"name": name}, address=address)
