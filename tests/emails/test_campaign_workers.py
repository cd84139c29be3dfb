"""A campaign that is paused and resumed while real workers send it, and one of them is killed."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable
from threading import Event
from typing import Any

import pytest

from tests.faults.harness import Site, wait_for

from .mail_server import Behaviour, MailServer
from .test_ledger import IN_FLIGHT, begin_campaign, has_ended, make_site

__all__ = ["make_site"]
MAILS, SENT_BEFORE = 50, 15


@pytest.mark.slow
def test_campaign_is_paused_while_workers_send_and_one_is_killed(make_site: Callable[..., Site]) -> None:
    paused, server = Event(), MailServer()

    def wait_for_the_pause(step: str, to: str) -> None:
        if step == "mail" and len(server.kept) >= SENT_BEFORE:  # however long the command takes to start
            paused.wait(30)

    server.behaviour = Behaviour(faults=wait_for_the_pause)
    with server:
        site = make_site(EMAIL_URL=f"smtp://127.0.0.1:{server.port}")
        begin_campaign(site, MAILS)
        ((campaign,),) = site.rows("SELECT id FROM emails_campaign")
        huey = site.run_huey("--queue", "email", "--no-reload")
        wait_for(lambda: len(server.kept) >= SENT_BEFORE, 120, "mails are sent")
        assert site.manage("send_campaign", campaign, "--pause").returncode == 0
        sent = len(server.kept)
        paused.set()
        os.kill(huey.child("email/1"), signal.SIGKILL)
        wait_for(lambda: len(huey.started("email/1")) > 1, 60, "another worker")
        wait_for(lambda: not site.has_live_jobs(), 120, "no job is left")
        # those on their way
        assert sent <= len(server.kept) <= sent + IN_FLIGHT
        assert count(site, "state = 'pending' AND job_id IS NULL") > 0
        held = len(server.kept)

        assert site.manage("send_campaign", campaign, "--pause").returncode == 1
        assert site.manage("send_campaign", campaign, "--resume").returncode == 0
        wait_for(lambda: has_ended(site), 180, "the campaign ended")
        assert huey.stop() == 0
    assert len(server.kept) > held
    assert count(site, "1 = 1") == MAILS
    times = Counter(kept.to for kept in server.kept)
    assert max(times.values()) == 1
    unclear = count(site, "state = 'unclear'")
    assert unclear <= IN_FLIGHT
    assert MAILS - unclear <= len(times) <= MAILS
    assert count(site, "state IN ('sent', 'unclear')") == MAILS


def count(site: Site, condition: str) -> Any:
    return site.rows(f"SELECT count(*) FROM emails_emailmessage WHERE {condition}")[0][0]
