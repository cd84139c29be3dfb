"""The intake API, described once: as OpenAPI for programs, and shown as a page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from .models import LeadSource


def _text(description: str | Promise, length: int | None = None, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **({"maxLength": length} if length else {}), **more}


def _answer(description: str | Promise, schema: str, headers: dict[str, str | Promise] | None = None) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": description,
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }
    if headers:
        answer["headers"] = {
            name: {"description": text, "schema": {"type": "string"}} for name, text in headers.items()
        }
    return answer


_RETRY_AFTER: dict[str, str | Promise] = {"Retry-After": _("Seconds to wait.")}
#: What a program can tell apart.
ERROR_CODES = [
    "invalid",
    "invalid_idempotency_key",
    "wrong_key",
    "method_not_allowed",
    "still_running",
    "too_large",
    "unsupported_media_type",
    "idempotency_conflict",
    "too_many",
]
OPENAPI: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {
        "title": _("Esteira: lead intake"),
        "version": "1",
        "description": _("Send a lead. What arrives is stored before anything is done with it."),
    },
    "security": [{"key": []}],
    "paths": {
        "/api/leads/": {
            "post": {
                "operationId": "createLead",
                "summary": _("Send a lead"),
                "description": _(
                    "A lead is one per organization and e-mail address: a second submission with the same address is "
                    "added to the history of the same lead, and fills what that lead left empty. It changes neither "
                    "the lead's phone number nor its consent: a new consent counts once the person has confirmed it "
                    "by email. "
                    "At most 65,536 bytes a body and 120 requests a minute."
                ),
                "parameters": [
                    {
                        "name": "Idempotency-Key",
                        "in": "header",
                        "required": False,
                        "description": _(
                            "A text of your choice that names this request. Sent again within 24 hours with the same "
                            "body, it gets the first answer again."
                        ),
                        "schema": {"type": "string", "maxLength": 200},
                    }
                ],
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {
                            "schema": {"$ref": "#/components/schemas/Lead"},
                            "example": {
                                "name": "Ada Lovelace",
                                "email": "ada@analytical.example",
                                "phone": "+442071838750",
                                "message": "How fast is the engine?",
                                "consent": True,
                                "utm_source": "newsletter",
                            },
                        }
                    },
                },
                "responses": {
                    "201": _answer(_("The lead is new."), "Accepted"),
                    "200": _answer(_("The lead is known; the submission was added to its history."), "Accepted"),
                    "202": _answer(
                        _("Stored, but not processed yet. We’ll take care of it: don’t send it again."), "Stored"
                    ),
                    "400": _answer(_("The lead is invalid; `fields` says why."), "Error"),
                    "401": _answer(_("The API key is missing or wrong."), "Error"),
                    "405": _answer(_("Only POST is allowed."), "Error"),
                    "409": _answer(
                        _("The first request with this Idempotency-Key is still being worked on."),
                        "Error",
                        _RETRY_AFTER,
                    ),
                    "413": _answer(_("The body is too large."), "Error"),
                    "415": _answer(_("The body is not JSON."), "Error"),
                    "422": _answer(_("This Idempotency-Key was used with another body."), "Error"),
                    "429": _answer(_("Too many requests."), "Error", _RETRY_AFTER),
                },
            }
        }
    },
    "components": {
        "securitySchemes": {
            "key": {
                "type": "http",
                "scheme": "bearer",
                "description": _("An API key of your organization: 'Authorization: Bearer <key>'."),
            }
        },
        "schemas": {
            "Lead": {
                "type": "object",
                "required": ["name"],
                "anyOf": [{"required": ["email"]}, {"required": ["phone"]}],
                "additionalProperties": False,
                "properties": {
                    "name": _text(_("The person’s name."), 200, minLength=1),
                    "email": _text(_("An e-mail address. Without one, give a phone number."), 254, format="email"),
                    "phone": _text(_("With its country code, like +5511912345678."), 40),
                    "company": _text(_("Where the person works."), 200),
                    "job_title": _text(_("What the person does there."), 200),
                    "message": _text(_("What the person wrote."), 5_000),
                    "consent": {
                        "type": "boolean",
                        "description": _("The person agreed to be contacted about the request."),
                    },
                    "marketing_consent": {
                        "type": "boolean",
                        "description": _("The person agreed to get news and offers."),
                    },
                    "consent_wording": _text(_("The words that the person agreed to."), 2_000),
                    "source": _text(_("Where the lead came from. Default: `api`."), enum=LeadSource.values),
                    "value": {"type": ["string", "number"], "description": _("What the deal may be worth.")},
                    "currency": _text(_("Three capital letters (ISO 4217)."), pattern="^[A-Z]{3}$"),
                    "locale": _text(_("The person’s language, like pt-br. Default: your organization’s."), 20),
                    "time_zone": _text(_("An IANA time zone, like America/Sao_Paulo."), 64),
                    "utm_source": _text(_("Campaign field."), 200),
                    "utm_medium": _text(_("Campaign field."), 200),
                    "utm_campaign": _text(_("Campaign field."), 200),
                    "utm_term": _text(_("Campaign field."), 200),
                    "utm_content": _text(_("Campaign field."), 200),
                },
            },
            "Accepted": {
                "type": "object",
                "required": ["id", "submission_id", "created"],
                "properties": {
                    "id": _text(_("The lead."), format="uuid"),
                    "submission_id": _text(_("This submission."), format="uuid"),
                    "created": {"type": "boolean", "description": _("Whether the lead is new.")},
                },
            },
            "Stored": {
                "type": "object",
                "required": ["submission_id", "status"],
                "properties": {
                    "submission_id": _text(_("This submission."), format="uuid"),
                    "status": _text(_("Always `received`."), enum=["received"]),
                },
            },
            "Error": {
                "type": "object",
                "required": ["error"],
                "properties": {
                    "error": {
                        "type": "object",
                        "required": ["code", "message"],
                        "properties": {
                            "code": _text(_("A stable name of the error."), enum=ERROR_CODES),
                            "message": _text(_("What is wrong, in words.")),
                            "fields": {
                                "type": "object",
                                "description": _("By field, what is wrong; an empty name is the whole body."),
                                "additionalProperties": {"type": "array", "items": {"type": "string"}},
                            },
                        },
                    },
                    "submission_id": _text(_("The submission, where one was stored."), format="uuid"),
                },
            },
        },
    },
}


@dataclass(frozen=True)
class Row:
    """A field as the page shows it."""

    name: str
    type: str
    required: bool
    description: str | Promise


def rows(schema: dict[str, Any], within: str = "") -> Iterator[Row]:
    """The fields of a schema; a field of an object within is named like `error.code`."""
    for name, field in schema["properties"].items():
        required = name in schema.get("required", ())
        yield Row(within + name, _type_of(field), required, field.get("description", ""))
        if "properties" in field:
            yield from rows(field, f"{within}{name}.")


def _type_of(field: dict[str, Any]) -> str:
    kinds = field["type"]
    text = kinds if isinstance(kinds, str) else " | ".join(kinds)
    if "maxLength" in field:
        text += f" ≤ {field['maxLength']}"
    if "enum" in field:
        text += ": " + ", ".join(field["enum"])
    return text
