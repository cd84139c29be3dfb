"""A breaker with real workers: three processes open it together and probe one by one, also when a prober is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from .harness import Line, Site, wait_for
from .ledger import check_ledger

pytestmark = [
    pytest.mark.parametrize("make_site", ["sqlite", "postgresql", "redis"], indirect=True),
    pytest.mark.slow,
]

MakeSite = Callable[..., Site]
PROBE_AFTER = 1.0


def test_three_processes_probe_one_by_one_until_the_provider_answers(make_site: MakeSite) -> None:
    site = make_site()
    away, hangs = site.folder / "carrier-away", site.folder / "carrier-hangs"
    away.touch()
    huey = site.run_huey("--queue", "work", "--processes", "work=3", "--concurrency", "work=1")
    console = site.console()
    jobs = console.ask("call_carrier.enqueue_many([()] * 30)")
    plain = console.ask("nap.enqueue_many([0.0] * 30)")

    def starts() -> list[Line]:
        return [line for line in site.ledger("start") if line.job in set(jobs)]

    wait_for(lambda: huey.count("breaker_opened name=carrier"), what="it opens")
    wait_for(lambda: len([line for line in site.ledger("end") if line.job in set(plain)]) == 30)
    # three that failed, and one that each of the other processes may have begun meanwhile
    opened = len(starts())
    assert 3 <= opened <= 5
    wait_for(lambda: len(starts()) >= opened + 3, what="it is probed")

    hangs.touch()
    before = len(starts())
    wait_for(lambda: len(starts()) > before)
    prober = wait_for(lambda: starts()[-1])
    hanging = len(starts())
    os.kill(prober.pid, signal.SIGKILL)
    wait_for(lambda: len(starts()) > hanging, what="another process probes")
    assert starts()[-1].pid != prober.pid
    probes = [line.at for line in starts()[opened:]]
    gaps = [later - first for first, later in zip(probes, probes[1:], strict=False)]
    assert min(gaps) > PROBE_AFTER * 0.9, gaps

    hangs.unlink()
    away.unlink()
    check_ledger(site, [*jobs, *plain])
    assert huey.count("breaker_opened") == huey.count("breaker_closed") == 1
    assert site.states("work")["completed"] == 60
