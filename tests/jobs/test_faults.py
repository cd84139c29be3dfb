"""The fault points: nothing to a site, a function of the tests to a test."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from jobs import faults

passed: list[str] = []


def test_a_point_calls_what_the_setting_names_and_nothing_without_it(settings: Any) -> None:
    passed.clear()
    faults.point("claim.before")
    settings.JOBS = {"FAULT_POINTS": f"{__name__}.passed.append"}
    with pytest.raises(ImproperlyConfigured, match="FAULT_POINTS.*no such function"):
        faults.point("claim.before")
    settings.JOBS = {"FAULT_POINTS": f"{__name__}.note"}
    faults.point("claim.after_commit")
    assert passed == ["claim.after_commit"]


def note(name: str) -> None:
    passed.append(name)
