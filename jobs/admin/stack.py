"""The button that shows where a running job is: its worker is asked, and the page shows the answer."""

from __future__ import annotations

from typing import cast
from uuid import UUID

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import reverse
from django.utils.text import capfirst

from ..errors import BrokerAway, Refused, UnknownJob
from ..models import Job
from ..operate.stack import VIEW_STACK, ask_stack
from .sight import check_reach

#: Seconds that the request waits for the answer; later ones are shown when the page is looked at again.
WAIT = 2.5


def stack_page(request: HttpRequest, job_id: UUID, model_admin: ModelAdmin[Job]) -> HttpResponse:
    """Ask, on POST, and lead back to the job's page."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    check_reach(request, job_id, VIEW_STACK)
    try:
        ask_stack(job_id, cast(AbstractBaseUser, request.user), wait=WAIT)
    except (Refused, UnknownJob, BrokerAway) as refusal:
        model_admin.message_user(request, capfirst(str(refusal)), messages.ERROR)
    return HttpResponseRedirect(reverse(f"{model_admin.admin_site.name}:jobs_job_change", args=[job_id]) + "#job-stack")
