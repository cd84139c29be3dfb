"""Sentinels name the server: who the primary is changes under way."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from jobs.broker.redis.address import read_address
from jobs.broker.redis.broker import RedisBroker
from jobs.broker.redis.sentinel import LOOK_EVERY
from jobs.errors import BrokerAway
from tests.contract.hands import Hands
from tests.sentinels import SERVICE, SentinelSet

HARD = "p@ss:w/or#d %é"


def wait_for(condition: Callable[[], object], limit: float = 60) -> object:
    until = time.monotonic() + limit
    while True:
        try:
            if found := condition():
                return found
        except BrokerAway:
            pass
        assert time.monotonic() < until, condition
        time.sleep(0.02)


@pytest.fixture(scope="module")
def signed_set() -> Iterator[SentinelSet]:
    made = SentinelSet.create(password=HARD, sentinel_password="other " + HARD)
    yield made
    made.remove()


@pytest.fixture
def hands(signed_set: SentinelSet) -> Iterator[Hands]:
    broker = RedisBroker(signed_set.url, "tests")
    yield Hands(broker)
    broker.close()


def test_servers_and_sentinels_have_passwords_of_their_own(hands: Hands) -> None:
    hands.push()
    assert hands.settle(hands.claim_one())


def test_sentinels_that_do_not_know_the_service_are_one_sentence(signed_set: SentinelSet) -> None:
    broker = RedisBroker(signed_set.url.replace(SERVICE, "elsewhere"), "tests")
    with pytest.raises(BrokerAway, match="no Sentinel names the primary of the service 'elsewhere'.*does not know"):
        broker.now()


def test_a_sentinels_wrong_password_is_one_sentence_that_does_not_hold_it(signed_set: SentinelSet) -> None:
    broker = RedisBroker(signed_set.url.replace("sentinel_password=other", "sentinel_password=hunter2"), "tests")
    with pytest.raises(BrokerAway, match="no Sentinel names the primary") as caught:
        broker.now()
    assert "hunter2" not in str(caught.value)


def test_sentinels_that_are_away_cost_less_than_half_a_second() -> None:
    # nobody answers at these addresses, which are for documents
    broker = RedisBroker(f"sentinel://192.0.2.1,192.0.2.2,192.0.2.3,192.0.2.4/{SERVICE}", "tests")
    for _ in range(5):  # another process may have the processor
        began = time.monotonic()
        with pytest.raises(BrokerAway, match="no Sentinel names the primary"):
            broker.now()
        if (took := time.monotonic() - began) < 0.7:
            break
    assert took < 0.7


def test_a_sentinel_that_is_away_is_asked_last(signed_set: SentinelSet) -> None:
    broker = RedisBroker(signed_set.url.replace("@127.0.0.1", "@127.0.0.1:1,127.0.0.1", 1), "tests")
    assert broker.now()
    assert broker._server._sentinels._places[-1] == ("127.0.0.1", 1)


@pytest.mark.slow
def test_a_primary_that_hands_over_is_left_at_once_and_where_it_waits_for_words(
    hands: Hands, signed_set: SentinelSet
) -> None:
    hands.push()
    assert hands.broker.wait_for_hint("lane", 1) is True
    old = signed_set.hand_over()
    # for some ten seconds the old one takes all that it is given, and then forgets it
    assert signed_set.role(old) == "master"
    time.sleep(LOOK_EVERY)
    hands.push()
    assert hands.broker.wait_for_hint("lane", 1) is True
    assert hands.broker.counts("lane").waiting == 2
    wait_for(lambda: signed_set.role(old) == "slave")
    assert len(hands.claim(5)) == 2


@pytest.mark.slow
def test_a_primary_that_hangs_is_replaced_and_nobody_goes_back_to_it() -> None:
    servers = SentinelSet.create()
    try:
        old, hands = servers.primary(), Hands(RedisBroker(servers.url, "tests"))
        first = hands.push()
        os.kill(old.process.pid, signal.SIGSTOP)
        with pytest.raises(BrokerAway, match="cannot be reached"):
            hands.push()
        servers.wait_for_another_than(old)
        second = wait_for(hands.push)
        os.kill(old.process.pid, signal.SIGCONT)
        wait_for(lambda: servers.role(old) == "slave")
        assert {first, second} == set(hands.claim_ids())
        assert hands.broker.counts("lane").active == 2
    finally:
        servers.remove()


@pytest.mark.parametrize(
    ("url", "places", "service", "number"),
    [
        ("sentinel://a,b:7/main", (("a", 26379), ("b", 7)), "main", 0),
        ("redis+sentinel://u:p%40@[::1]:7/m%20n/3?sentinel_password=x", (("::1", 7),), "m n", 3),
    ],
)
def test_an_address_by_sentinels_is_read(url: str, places: object, service: str, number: int) -> None:
    address = read_address(url)
    assert (address.sentinels, address.service, address.options["db"]) == (places, service, number)


def test_tls_holds_for_sentinels_too_and_passwords_go_to_their_owners_only() -> None:
    address = read_address("rediss+sentinel://me:mine@a/main/0?ssl_ca_certs=ca&sentinel_password=theirs")
    assert address.connect.__name__ == "SSLConnection"
    assert address.ask == {"ssl_ca_certs": "ca", "password": "theirs"}
    assert address.options == {"username": "me", "password": "mine", "ssl_ca_certs": "ca", "db": 0}


@pytest.mark.parametrize("url", ["sentinel://a", "sentinel://a:x/main", "sentinel://a,,b/main", "sentinel://a:0/main"])
def test_a_wrong_address_by_sentinels_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        read_address(url)
