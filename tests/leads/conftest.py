from __future__ import annotations

import pytest
from django.conf import settings

#: What takes seconds and is told on both databases, and the test of it that `make test` tells on both as well.
TWICE, ALWAYS = "test_erasure.py", "test_nothing_of_an_erased_lead_is_found_in_any_column_of_any_table"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the second telling to CI; where the suite runs on PostgreSQL there is no other."""
    if not settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        return
    for item in items:
        is_second = item.path.name == TWICE and item.name.endswith("[postgresql]")
        if is_second and not item.name.startswith(ALWAYS):
            item.add_marker(pytest.mark.slow)
