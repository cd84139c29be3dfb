"""What a page may load and run."""

import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from django.urls import reverse

from config.csp import HEADER, ContentSecurityPolicy


def through(response):
    return ContentSecurityPolicy(lambda request: response)(RequestFactory().get("/"))


@pytest.mark.django_db
def test_every_page_has_the_policy_and_it_allows_nothing_inline(client):
    policy = client.get(reverse("admin:login")).headers[HEADER]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy


def test_a_view_may_state_its_own_policy():
    assert through(HttpResponse(headers={HEADER: "default-src 'none'"})).headers[HEADER] == "default-src 'none'"


def test_only_djangos_page_for_a_developers_mistake_goes_without(settings):
    settings.DEBUG = True
    assert HEADER not in through(HttpResponse(status=500)).headers
    assert HEADER in through(HttpResponse(status=403)).headers
    settings.DEBUG = False
    assert HEADER in through(HttpResponse(status=500)).headers
