"""Words for what is stored by a stable name."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

SCORE_RULES = {
    "company_mail": _("writes from a company's address"),
    "company_known": _("the company is known"),
    "decides": _("decides, by the job title"),
    "manages": _("leads a team, by the job title"),
    "phone_given": _("gave a phone number"),
    "country_known": _("the country is known"),
    "large_value": _("large value"),
    "source": _("where the lead came from"),
    "status": _("how far the lead has come"),
    "wrote_message": _("wrote a real message"),
    "contacts": _("wrote to us lately"),
    "disposable_mail": _("throw-away mail address"),
    "phone_invalid": _("the phone number cannot be right"),
    "unsubscribed": _("unsubscribed"),
}

ENRICHMENT_FIELDS = {
    "company": _("Company"),
    "website": _("Web site"),
    "country": _("Country"),
    "free_mail": _("Free mail address"),
    "disposable_mail": _("Throw-away mail address"),
    "phone_valid": _("Phone number can be right"),
}
