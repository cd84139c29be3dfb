"""What comes in about mails: a click that stops them, and what a mail service reports of them."""

from __future__ import annotations

import logging

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST

from accounts.services import choose_digest
from leads.models import Lead
from leads.services import confirm_consent, unsubscribe_lead

from .composing import lead_of_token
from .confirmation import purposes_of, read_token
from .digests import user_of_token
from .mail_providers import MailProvider
from .reports.applying import apply
from .reports.reading import read
from .reports.trust import NotTrusted, Unreadable

logger = logging.getLogger("emails.reports")


# the token proves the right; the mail provider that posts for its user has no CSRF cookie
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """Ask on GET, stop the mails on POST (RFC 8058): scanners follow links."""
    lead_id = lead_of_token(token)
    if lead_id is None:
        raise Http404
    done = request.method == "POST"
    if done:
        unsubscribe_lead(lead_id)
    return render(request, "emails/unsubscribe.html", {"done": done})


# the token proves the right
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def stop_digest(request: HttpRequest, token: str) -> HttpResponse:
    """Ask on GET, stop a person's daily mail on POST (RFC 8058)."""
    user_id = user_of_token(token)
    if user_id is None:
        raise Http404
    done = request.method == "POST"
    if done:
        choose_digest(user_id, False)
    return render(request, "emails/stop_digest.html", {"done": done})


# the signature or the secret proves who it is
@csrf_exempt
@require_POST
def take_reports(request: HttpRequest, provider: str) -> HttpResponse:
    """Take what the mail service reports; 403 from anybody else, 200 also for what changes nothing."""
    chosen: MailProvider | None = getattr(settings, "MAIL_PROVIDER", None)
    if chosen is None or chosen.name != provider:
        raise Http404
    try:
        reports = read(request, chosen)
    except NotTrusted as error:
        logger.warning("report_refused provider=%s: %s", provider, error)
        return HttpResponse("not trusted\n", status=403, content_type="text/plain")
    except Unreadable as error:
        logger.warning("report_unreadable provider=%s: %s", provider, error)
        return HttpResponse("not understood\n", status=400, content_type="text/plain")
    changed = sum(apply(report) for report in reports)
    return HttpResponse(f"{changed} of {len(reports)}\n", content_type="text/plain")


# the token proves the right
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def confirm(request: HttpRequest, token: str) -> HttpResponse:
    """Show on GET what the lead is asked to agree to; it agrees on POST."""
    read = read_token(token)
    if read is None:
        return render(request, "emails/confirm_consent.html", status=404)
    lead_id, asked = read
    lead = Lead.present.select_related("organization").filter(pk=lead_id).first()
    if lead is None:
        return render(request, "emails/confirm_consent.html", status=404)
    done = request.method == "POST" and bool(confirm_consent(lead.pk, asked))
    purposes = [] if request.method == "POST" else purposes_of(lead, asked)
    context = {"organization": lead.organization, "done": done, "purposes": purposes}
    return render(request, "emails/confirm_consent.html", context)
