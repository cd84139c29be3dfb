"""People hear of a cause once an hour, from one keeper, without personal data, whatever the mail server does."""

import logging
import threading
from datetime import timedelta

import django
import pytest
from django.core import mail as outbox
from django.db import connections

from jobs import clock
from jobs.keep import causes as duty
from jobs.keep import mail
from jobs.models import Cause
from jobs.signals import dead_letter_alert
from tests.dead.conftest import dead

OTHER = "d" * 16


@pytest.fixture
def heard():
    """What a receiver of the signal was told."""
    news = []

    def receiver(sender, cause, **kwargs):
        news.append((sender, cause))

    dead_letter_alert.connect(receiver)
    yield news
    dead_letter_alert.disconnect(receiver)


@pytest.fixture
def mails(settings):
    """Mails to ADMINS are on."""
    settings.JOBS = {**settings.JOBS, "MAIL_ADMINS": True}
    settings.ADMINS = ["ops@example.org"] if django.VERSION >= (6, 0) else [("", "ops@example.org")]
    return settings


def later(monkeypatch, **time):
    moment = clock.now() + timedelta(**time)
    monkeypatch.setattr(duty, "get_broker", lambda: type("Broker", (), {"now": lambda self: moment})())


def test_people_hear_of_each_cause_once_an_hour(each_database, heard, monkeypatch):
    dead(3)
    dead(1, cause=OTHER, error="KeyError: 'x'")
    duty.run()
    duty.run()
    assert sorted(one.count for _sender, one in heard) == [1, 3]
    dead(2)
    duty.run()
    assert len(heard) == 2
    later(monkeypatch, minutes=59)
    duty.run()
    assert len(heard) == 2
    later(monkeypatch, minutes=61)
    dead(1, timedelta(minutes=-61))
    duty.run()
    assert [one.count for _sender, one in heard[2:]] == [6]


def test_what_failed_within_the_hour_is_told_of_when_it_is_over(each_database, heard, monkeypatch):
    dead(1)
    duty.run()
    dead(1, timedelta(0))
    later(monkeypatch, minutes=60, seconds=-1)
    duty.run()
    assert len(heard) == 1
    later(monkeypatch, minutes=75)
    duty.run()
    assert [one.count for _sender, one in heard] == [1, 2]


def test_of_two_keepers_one_tells(each_database, heard):
    dead(3)
    ready = threading.Barrier(4)

    def keeper():
        ready.wait(60)
        try:
            duty.alert()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=keeper) for _number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(heard) == 1


def test_dead_letters_of_an_older_version_are_no_news(each_database, heard):
    dead(3, timedelta(hours=2), cause="")
    duty.run()
    duty.run()
    assert heard == []
    assert Cause.objects.get().alerted_at is None


def test_a_clock_that_was_ahead_does_not_silence_a_cause(each_database, heard):
    dead(1)
    duty.run()
    Cause.objects.update(alerted_at=clock.now() + timedelta(days=3))
    dead(1, timedelta(seconds=1))
    duty.run()
    assert len(heard) == 2


@pytest.mark.django_db
def test_the_mail_says_what_and_how_many_and_no_value(mails, heard):
    dead(4, error="Refused: ada@example.org said 'my card is 4111 1111'\n", release="r7")
    duty.run()
    mail._sending.join(60)
    (sent,) = outbox.outbox
    assert sent.to == ["ops@example.org"]
    assert "dead.fail" in sent.subject
    for word in ("Refused: # said #", "4", "r7", "jobs dead cccccccccccccccc"):
        assert word in sent.body
    assert "ada@" not in str(heard) + sent.subject + sent.body
    assert "4111" not in str(heard) + sent.body


@pytest.mark.django_db
def test_a_mail_server_that_fails_and_a_receiver_that_raises_stop_nothing(mails, monkeypatch, caplog):
    def broken(*args, **kwargs):
        raise ConnectionRefusedError("no mail today")

    monkeypatch.setattr(outbox, "mail_admins", broken)

    def receiver(sender, **kwargs):
        raise ValueError("no receiver today")

    dead_letter_alert.connect(receiver)
    dead(1)
    with caplog.at_level(logging.ERROR, "jobs.keeper"):
        duty.run()
        mail._sending.join(60)
    dead_letter_alert.disconnect(receiver)
    assert "no mail today" in caplog.text
    assert "no receiver today" in caplog.text


@pytest.mark.django_db
def test_a_mail_server_that_never_answers_holds_up_one_mail_and_no_duty(mails, monkeypatch, caplog):
    answers = threading.Event()
    monkeypatch.setattr(outbox, "mail_admins", lambda *args: answers.wait(120))
    dead(1)
    dead(1, cause=OTHER)
    with caplog.at_level(logging.ERROR, "jobs.keeper"):
        duty.run()
    assert "still on its way" in caplog.text
    answers.set()
    mail._sending.join(60)
