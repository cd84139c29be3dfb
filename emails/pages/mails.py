"""A campaign's mails by what became of them, with the reason, and a way to send one again."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy
from django.views.decorators.http import require_GET, require_http_methods

from accounts import sight
from accounts.member_pages import member_page, person_of
from admin_lists.pages import AFTER, BEFORE, Order, read_page
from leads.models import EffectState

from .. import services
from ..campaigns import WENT_OUT
from ..models import EmailMessage
from ..progress import FAILED
from .seeing import RESEND, campaign_of, log, rights_on

#: An index has each campaign's mails of one state in this order.
ORDER = Order(EmailMessage, ("pk",))
PAGE = 50
TABS = {
    "failed": (pgettext_lazy("mails", "Failed"), FAILED),
    "unclear": (pgettext_lazy("mails", "Unclear"), (EffectState.UNCLEAR,)),
    "deferred": (pgettext_lazy("mails", "Deferred"), (EffectState.DEFERRED,)),
    "skipped": (pgettext_lazy("mails", "Not sent on purpose"), (EffectState.SKIPPED,)),
    "sent": (pgettext_lazy("mails", "Sent"), WENT_OUT),
}
PERHAPS = gettext_lazy("Nobody knows whether this email arrived. If you send it again, the lead may get it twice.")


@require_GET
@member_page
def mails(request: HttpRequest, campaign_id: UUID) -> HttpResponse:
    """Those of one tab."""
    person = person_of(request)
    campaign = campaign_of(person, campaign_id)
    tab = request.GET.get("show", "failed") if request.GET.get("show", "failed") in TABS else "failed"
    try:
        before, after = (ORDER.key(text) if text else None for text in map(request.GET.get, (BEFORE, AFTER)))
    except ValidationError:
        raise Http404 from None
    states = TABS[tab][1]
    page = read_page(
        EmailMessage.objects.filter(campaign=campaign, state__in=states),
        ORDER,
        PAGE,
        before=before,
        after=after,
        streams=lambda rows: [rows.filter(state=state) for state in states],
        fetch=lambda rows: rows.select_related("lead", "campaign").defer("text", "html"),
    )
    sees_leads = sight.may(person, "leads.view_lead", campaign.organization_id)
    context = {
        "campaign": campaign,
        "rights": rights_on(campaign, person),
        "tabs": [(name, label, name == tab) for name, (label, _states) in TABS.items()],
        "tab": tab,
        "rows": page.rows,
        "sees_leads": sees_leads,
        "newer": ORDER.key_text(page.rows[0]) if page.rows and page.newer else "",
        "older": ORDER.key_text(page.rows[-1]) if page.rows and page.older else "",
    }
    return render(request, "emails/campaigns/mails.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@member_page
def again(request: HttpRequest, campaign_id: UUID, message_id: UUID) -> HttpResponse:
    """Send a mail again that did not go out; of one that perhaps did, ask first."""
    person = person_of(request)
    campaign = campaign_of(person, campaign_id, RESEND)
    message = EmailMessage.objects.select_related("campaign").filter(pk=message_id, campaign=campaign).first()
    if message is None:
        raise Http404
    if request.method == "POST":
        if services.resend(message) is not None:
            log(person, message, _("Sent again."))
            messages.success(request, _("The email is being sent again."))
        else:
            messages.warning(request, _("Nothing was changed: this email cannot be sent again."))
        return redirect(reverse("campaigns:mails", args=[campaign.pk]))
    context = {
        "campaign": campaign,
        "title": _("Send again?"),
        "text": PERHAPS if message.perhaps_sent else message.shown_error(),
        "button": _("Send again"),
    }
    return render(request, "emails/campaigns/confirm.html", context)
