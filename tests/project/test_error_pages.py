"""What a visitor sees when a page is not there, not allowed, or broken."""

from __future__ import annotations

import pytest
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path

from config.urls import urlpatterns as site


def broken(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("a secret of the code")


def forbidden(request: HttpRequest) -> HttpResponse:
    raise PermissionDenied


urlpatterns = [path("broken/", broken), path("forbidden/", forbidden), *site]


@pytest.mark.urls(__name__)
@pytest.mark.parametrize("language", ["en", "pt-br"])
@pytest.mark.parametrize(("address", "status"), [("/nowhere/", 404), ("/forbidden/", 403), ("/broken/", 500)])
def test_an_error_is_told_on_a_page_of_the_site_in_the_visitors_language(
    address: str, status: int, language: str
) -> None:
    answer = Client(raise_request_exception=False).get(address, headers={"Accept-Language": language})
    page = answer.content.decode()
    assert answer.status_code == status
    assert f'<html lang="{language}">' in page
    assert "<h1>" in page
    assert "secret" not in page
    assert "style=" not in page, "the policy of the site forbids it"
