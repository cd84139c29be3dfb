"""Words for what is stored by a stable name."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

SCORE_RULES = {
    "company_mail": _("writes from a company's address"),
    "company_known": _("the company is known"),
    "decides": _("decision maker, by job title"),
    "manages": _("team lead, by job title"),
    "phone_given": _("gave a phone number"),
    "country_known": _("the country is known"),
    "large_value": _("large value"),
    "source": _("where the lead came from"),
    "status": _("how far the lead has come"),
    "wrote_message": _("wrote a detailed message"),
    "contacts": _("got in touch recently"),
    "disposable_mail": _("disposable e-mail address"),
    "phone_invalid": _("implausible phone number"),
    "unsubscribed": _("unsubscribed"),
}

ENRICHMENT_FIELDS = {
    "company": _("Company"),
    "website": _("Website"),
    "country": _("Country"),
    "free_mail": _("Free e-mail address"),
    "disposable_mail": _("Disposable e-mail address"),
    "phone_valid": _("Plausible phone number"),
}
