"""`jobs status --check` on a running site: well while all is well, and not when a keeper stands still."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from .harness import Site, wait_for
from .ledger import check_ledger

pytestmark = pytest.mark.parametrize("make_site", ["sqlite", "postgresql", "redis"], indirect=True)


def status(site: Site, *words: str) -> tuple[int, dict[str, Any]]:
    done = site.manage("jobs", "status", "--check", "--json", *words)
    return done.returncode, json.loads(done.stdout)


def codes(site: Site, *words: str) -> set[str]:
    return {finding["code"] for finding in status(site, *words)[1]["findings"]}


@pytest.mark.slow
def test_a_stopped_keeper_is_found_until_it_goes_on(make_site: Callable[..., Site]) -> None:
    # longer than this test: the supervisor must not end the stopped keeper
    site = make_site(FAULTS_LEASE="60")
    huey = site.run_huey()
    site.enqueue("nap.enqueue_many([0.1] * 5)")
    signed = "SELECT count(*) FROM jobs_process WHERE kind = 'keeper' AND duties_at IS NOT NULL"
    wait_for(lambda: site.rows(signed)[0][0] == 1, what="the keeper's first signature")
    code, document = status(site)
    assert (code, document["findings"], document["keepers"]) == (0, [], 1)
    assert all(abs(offset) < 30 for offset in document["clock_offset_seconds"].values())

    # it signs every 5 seconds
    os.kill(huey.child("keeper"), signal.SIGSTOP)
    wait_for(lambda: codes(site, "--keeper-silent", "8") == {"keeper_stopped"}, what="finding")
    assert status(site, "--keeper-silent", "8")[0] == 1
    os.kill(huey.child("keeper"), signal.SIGCONT)
    wait_for(lambda: codes(site, "--keeper-silent", "8") == set(), what="end of the finding")
    check_ledger(site)
