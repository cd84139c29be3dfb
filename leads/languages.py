"""Which of the site's languages somebody reads, by what they or their program said."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import get_supported_language_variant
from django.utils.translation.trans_real import parse_accept_lang_header


def spoken(code: str) -> str:
    """The language of the site that a code stands for, also of another country (`pt` is `pt-br`); empty if none is."""
    try:
        return get_supported_language_variant(code.lower().replace("_", "-"))
    except (LookupError, ValueError):
        return ""


def asked_for(request: HttpRequest) -> str:
    """What the visitor's cookie or browser asks for; empty if the site does not speak it."""
    accepted = parse_accept_lang_header(request.headers.get("Accept-Language", ""))
    codes = [request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME, ""), *(code for code, _weight in accepted)]
    return next(filter(None, map(spoken, codes)), "")
