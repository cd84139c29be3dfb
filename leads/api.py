"""The intake API: `POST /api/leads/`. What it answers is described in `leads.openapi`."""

from __future__ import annotations

import json
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import override
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET

from accounts.models import ApiKey

from . import services
from .models import Channel
from .openapi import OPENAPI, rows
from .readable import readable

BODY_LIMIT = 64 * 1024
IDEMPOTENCY_KEY_LIMIT = 200


# the raw body must be committed before anything is done with it, whatever ATOMIC_REQUESTS says
@transaction.non_atomic_requests
@csrf_exempt
def leads(request: HttpRequest) -> HttpResponse:
    """Take one lead as JSON."""
    if request.method != "POST":
        return _error(405, "method_not_allowed", "Use POST.", headers={"Allow": "POST"})
    api_key = _api_key(request)
    if api_key is None:
        return _error(
            401,
            "wrong_key",
            "Send a valid API key as 'Authorization: Bearer <key>'.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    if request.content_type != "application/json":
        return _error(415, "unsupported_media_type", "Send JSON, with 'Content-Type: application/json'.")
    idempotency_key = request.headers.get("Idempotency-Key", "").strip()
    if len(idempotency_key) > IDEMPOTENCY_KEY_LIMIT or not idempotency_key.isprintable():
        return _error(
            400,
            "invalid_idempotency_key",
            f"An Idempotency-Key has at most {IDEMPOTENCY_KEY_LIMIT} characters, all of them printable.",
        )
    body = _read_body(request)
    if body is None:
        return _error(413, "too_large", f"A body has at most {BODY_LIMIT:,} bytes.")
    try:
        submission = services.receive(
            api_key.organization,
            Channel.API,
            # what is no UTF-8 is no JSON either: it is kept as far as it can be read, and refused
            readable(body.decode("utf-8", "backslashreplace")),
            api_key=api_key,
            idempotency_key=idempotency_key,
        )
    except services.IdempotencyConflict:
        return _error(422, "idempotency_conflict", "This Idempotency-Key was used with another body.")
    except services.StillRunning:
        return _error(
            409,
            "still_running",
            "The first request with this Idempotency-Key is still being worked on.",
            headers={"Retry-After": "1"},
        )
    except services.TooManySubmissions as refused:
        return _error(
            429, "too_many", "Too many requests with this key.", headers={"Retry-After": str(refused.retry_after)}
        )
    return JsonResponse(submission.answer or {}, status=submission.answer_status or 202)


@require_GET
def openapi(request: HttpRequest) -> HttpResponse:
    """The API's description for programs, always in English."""
    with override("en"):
        return JsonResponse(OPENAPI, json_dumps_params={"indent": 2})


@require_GET
def docs(request: HttpRequest) -> HttpResponse:
    """The API's description for people, from the same source."""
    body = OPENAPI["paths"]["/api/leads/"]["post"]["requestBody"]["content"]["application/json"]
    context = {
        "api": OPENAPI,
        "address": request.build_absolute_uri("/api/leads/"),
        "example": json.dumps(body["example"]),
        "tables": {name: list(rows(schema)) for name, schema in OPENAPI["components"]["schemas"].items()},
    }
    return render(request, "leads/api_docs.html", context)


def is_too_large(request: HttpRequest) -> bool:
    """Whether the request says that its body is larger than taken."""
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0) > BODY_LIMIT
    except ValueError:
        return True


def _read_body(request: HttpRequest) -> bytes | None:
    if is_too_large(request):
        return None
    try:
        body: bytes = request.body
    except RequestDataTooBig:
        return None
    return body if len(body) <= BODY_LIMIT else None


def _api_key(request: HttpRequest) -> ApiKey | None:
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    secret = secret.strip()
    if scheme.lower() != "bearer" or not secret:
        return None
    keys = ApiKey.objects.select_related("organization").filter(key_hash=ApiKey.hash_of(secret))
    key = keys.first()
    if key is None or (key.revoked_at is not None and key.revoked_at <= timezone.now()):
        return None
    return key


def _error(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> JsonResponse:
    content: dict[str, Any] = {"error": {"code": code, "message": message}}
    return JsonResponse(content, status=status, headers=headers)
