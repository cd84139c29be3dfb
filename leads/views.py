"""The public form."""

from __future__ import annotations

from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.csrf import csrf_failure as django_csrf_failure
from django.views.decorators.http import require_GET, require_http_methods

from accounts.models import Organization

from . import services
from .api import BODY_LIMIT, is_too_large
from .languages import asked_for
from .models import Channel, SubmissionState
from .services.intake import HONEYPOT
from .validation import UTM_FIELDS, LeadForm


# the raw body must be committed before anything is done with it, whatever ATOMIC_REQUESTS says
@transaction.non_atomic_requests
@require_http_methods(["GET", "HEAD", "POST"])
def form(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the organisation's form, and take what is sent with it."""
    organization = get_object_or_404(Organization, slug=slug)
    language = asked_for(request) or organization.language
    with translation.override(language):
        return _form(request, organization, language)


@require_GET
def thanks(request: HttpRequest, slug: str) -> HttpResponse:
    """Say that it arrived."""
    organization = get_object_or_404(Organization, slug=slug)
    with translation.override(asked_for(request) or organization.language):
        return render(request, "leads/thanks.html", {"organization": organization})


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """What is shown for a form whose token is none, or an old one: the public form again, with all that was typed."""
    match = request.resolver_match
    if match is None or match.view_name != "leads:form" or request.method != "POST":
        return django_csrf_failure(request, reason=reason)
    organization = get_object_or_404(Organization, **match.kwargs)
    with translation.override(asked_for(request) or organization.language):
        bound = LeadForm(request.POST, organization=organization)
        problem = _("This page was open too long. What you wrote is still here. Please send it again.")
        return _show_form(request, organization, bound, problem=problem, status=403)


def _form(request: HttpRequest, organization: Organization, language: str) -> HttpResponse:
    if request.method != "POST":
        initial = {name: request.GET[name][:200] for name in UTM_FIELDS if name in request.GET}
        return _show_form(request, organization, LeadForm(organization=organization, initial=initial))
    fields = request.POST.copy()
    fields.pop("csrfmiddlewaretoken", None)
    fields.encoding = "utf-8"
    body = fields.urlencode()
    if is_too_large(request) or len(body) > BODY_LIMIT:
        problem = _("This is too long: the limit is %(limit)s bytes.") % {"limit": BODY_LIMIT}
        return _show_form(request, organization, LeadForm(organization=organization), problem=problem, status=413)
    try:
        submission = services.receive(
            organization,
            Channel.FORM,
            body,
            sender=request.META.get("REMOTE_ADDR", ""),
            locale=language,
        )
    except services.TooManySubmissions as refused:
        bound = LeadForm(fields, organization=organization)
        response = _show_form(
            request,
            organization,
            bound,
            problem=_("Too many messages in a short time. Please try again in a little while."),
            status=429,
        )
        response.headers["Retry-After"] = str(refused.retry_after)
        return response
    if submission.state == SubmissionState.INVALID:
        return _show_form(request, organization, LeadForm(fields, organization=organization), status=400)
    return HttpResponseRedirect(reverse("leads:thanks", args=[organization.slug]))


def _show_form(
    request: HttpRequest, organization: Organization, form: LeadForm, *, problem: str = "", status: int = 200
) -> HttpResponse:
    context = {"organization": organization, "form": form, "honeypot": HONEYPOT, "problem": problem}
    return render(request, "leads/form.html", context, status=status)
