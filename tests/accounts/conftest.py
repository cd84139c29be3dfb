"""Two organizations, each a stranger to the other."""

from __future__ import annotations

import pytest

from accounts.models import Organization
from tests.leads.people import make_organization


@pytest.fixture
def acme(db: None) -> Organization:
    return make_organization("acme")


@pytest.fixture
def umbrella(db: None) -> Organization:
    return make_organization("umbrella")
