"""The engine's fixtures for pytest. The wheel's entry point brings them into every project where it is installed.

Therefore nothing of Django or of the engine is imported before a test asks for a fixture.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from jobs.testing import Clock, JobsRunner


@pytest.fixture
def jobs_runner(db: None) -> JobsRunner:
    """Run jobs and look at them; uses the test's database as `db` or `transactional_db` made it."""
    from jobs.testing import JobsRunner

    return JobsRunner()


@pytest.fixture
def jobs_clock(db: None) -> Iterator[Clock]:
    """A clock that the test moves: `jobs.testing.fake_time` for the whole test, from the present on."""
    from jobs.testing import fake_time

    with fake_time() as clock:
        yield clock
