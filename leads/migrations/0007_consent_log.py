"""The log's first lines: what stood on each lead before there was one."""

from django.conf import settings
from django.db import migrations
from django.utils.crypto import salted_hmac

PIECE = 1_000


def begin_log(apps, schema_editor):
    """Consent so far was to be written to about the request, and is only that. Who unsubscribed stays so, of everything.

    One transaction a piece would be of no use: a migration is one. The lines say "recorded before this log began",
    since nobody knows any more by which way and in which words it was given.
    """
    Lead = apps.get_model("leads", "Lead")
    Record = apps.get_model("leads", "ConsentRecord")
    leads = Lead.objects.exclude(request_consent_at=None, unsubscribed_at=None).order_by("pk")
    last = None
    while piece := list((leads.filter(pk__gt=last) if last else leads)[:PIECE]):
        last = piece[-1].pk
        Record.objects.bulk_create([line for lead in piece for line in _lines(Record, lead)])
    Lead.objects.filter(unsubscribed_at__isnull=False).update(request_consent_at=None)


def forget_log(apps, schema_editor):
    """Going back: the lead's times stay, the log goes with its table."""


def _lines(Record, lead):
    known = {
        "organization_id": lead.organization_id,
        "lead": lead,
        "source": "earlier",
        "address_hash": _hash(lead.email_key) if lead.email_key else "",
    }
    if lead.request_consent_at:
        yield Record(**known, purpose="request", act="given", new=lead.request_consent_at)
    if lead.unsubscribed_at:
        for purpose in ("request", "marketing"):
            old = lead.request_consent_at if purpose == "request" else None
            yield Record(**known, purpose=purpose, act="withdrawn", old=old, new_unsubscribed=lead.unsubscribed_at)


def _hash(key):
    """As `leads.consent.address_hashes` does."""
    return salted_hmac("leads.consent", key, secret=settings.SECRET_KEY, algorithm="sha256").hexdigest()


class Migration(migrations.Migration):
    dependencies = [("leads", "0006_consent")]
    operations = [migrations.RunPython(begin_log, forget_log)]
