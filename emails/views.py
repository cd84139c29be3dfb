"""Stop mails with one click (RFC 8058). Only a POST does it: scanners follow links."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from leads.services import unsubscribe_lead

from .composing import lead_of_token


# the token proves the right; the mail provider that posts for its user has no CSRF cookie
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """Ask on GET, stop the mails on POST."""
    lead_id = lead_of_token(token)
    if lead_id is None:
        raise Http404
    done = request.method == "POST"
    if done:
        unsubscribe_lead(lead_id)
    return render(request, "emails/unsubscribe.html", {"done": done})
