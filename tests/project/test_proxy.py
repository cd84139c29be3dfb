"""Whose address a request has behind a proxy."""

import pytest
from django.http import HttpResponse
from django.test import RequestFactory

from config.proxy import ClientAddress


def seen(**headers):
    addresses = []

    def view(request):
        addresses.append(request.META["REMOTE_ADDR"])
        return HttpResponse()

    ClientAddress(view)(RequestFactory().get("/", REMOTE_ADDR="127.0.0.1", headers=headers))
    return addresses[0]


@pytest.mark.parametrize(
    ("said", "address"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:DB8::1", "2001:db8::1"),
        # what stands before the last comma came from outside, and may be a lie
        ("198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("203.0.113.9:44312", "203.0.113.9"),
        ("[2001:db8::1]:44312", "2001:db8::1"),
        ("203.0.113.9, unknown", "127.0.0.1"),
        ("", "127.0.0.1"),
    ],
)
def test_the_last_address_that_the_proxy_names_is_the_senders(said, address):
    assert seen(**{"X-Forwarded-For": said}) == address


def test_without_the_header_the_address_stays():
    assert seen() == "127.0.0.1"
