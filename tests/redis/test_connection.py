"""The way to the server: who may not, what will not do, and what a server that comes and goes leaves behind."""

import importlib.util
import os
import re
import signal
import subprocess
import time

import pytest
import redis
from redis._parsers import _HiredisParser, _RESP2Parser

from jobs.broker.records import Completed, PushStatus
from jobs.broker.redis.address import read_address
from jobs.broker.redis.broker import RedisBroker
from jobs.broker.redis.connection import check_server, known_fault
from jobs.errors import BrokerAway
from tests.contract.hands import Hands
from tests.faults.proxy import Proxy
from tests.servers import cannot_be_had

HARD = "p@ss:w/or#d %é"
#: The client takes hiredis where it is installed.
PARSERS = [_RESP2Parser, *([_HiredisParser] if importlib.util.find_spec("hiredis") else [])]


def test_a_password_may_hold_every_character(make_server):
    server = make_server(requirepass=HARD)
    hands = Hands(RedisBroker(server.url(password=HARD), "tests"))
    assert hands.push_one().status is PushStatus.ACCEPTED


@pytest.mark.parametrize("password", ["", "wrong"])
def test_a_wrong_password_is_said_in_one_sentence_that_does_not_hold_it(make_server, password):
    server = make_server(requirepass=HARD)
    with pytest.raises(BrokerAway, match=f"refuses the user or the password of {re.escape(server.url())}: ") as caught:
        RedisBroker(server.url(password=password), "tests").now()
    assert "wrong" not in str(caught.value).replace("WRONGPASS", "").lower()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://ana:p%40ss@queue:7000/3?socket_timeout=9", "redis://queue:7000/3"),
        ("rediss://:p@ss@[2001:db8::1]", "rediss://[2001:db8::1]:6379/0"),
        ("redis://", "redis://localhost:6379/0"),
        ("unix://ana:p%40ss@/run/redis.sock?db=2", "unix:///run/redis.sock?db=2"),
        (
            "rediss+sentinel://ana:p%40ss@one,[::1]:7/main/4?sentinel_password=other",
            "rediss+sentinel://one:26379,[::1]:7/main/4",
        ),
    ],
)
def test_an_address_is_told_without_the_password(url, shown):
    assert str(read_address(url)) == shown


@pytest.mark.parametrize("rights", ["+@all -@admin +info +client", "+@all -@dangerous +info"])
def test_a_user_with_rights_to_our_keys_only_can_do_all_and_nothing_elsewhere(server, client, rights):
    # the second is what docs/brokers.md says
    client.execute_command("ACL", "SETUSER", "jobs", "reset", "on", f">{HARD}", "~{tests:*", *rights.split())
    broker = RedisBroker(server.url("jobs", HARD), "tests")
    hands = Hands(broker)
    hands.push(key="k")
    assert hands.settle(hands.claim_one())
    assert broker.wait_for_hint("lane", 0.01) in (True, False)
    with pytest.raises(BrokerAway, match="may not do this"):
        RedisBroker(server.url("jobs", HARD), "another").pause("lane")


def test_a_server_reached_by_tls(make_server, tmp_path):
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    made += ["-keyout", "key", "-out", "cert", "-days", "2", "-subj", "/CN=localhost"]
    made += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run(made, cwd=tmp_path, check=True, capture_output=True)
    tls = {"tls-cert-file": "cert", "tls-key-file": "key", "tls-ca-cert-file": "cert"}
    server = make_server()
    server.stop()
    server.settings |= {name: str(tmp_path / value) for name, value in tls.items()}
    server.settings |= {"port": "0", "tls-port": str(server.port), "tls-auth-clients": "no"}
    try:
        server.start()
    except RuntimeError as error:
        if "tls-" not in str(error) and "TLS support" not in str(error):
            raise
        cannot_be_had(f"{server.program} speaks no TLS")
    url = server.url().replace("redis://", "rediss://")
    hands = Hands(RedisBroker(f"{url}?ssl_ca_certs={tmp_path / 'cert'}", "tests"))
    hands.push()
    assert hands.broker.wait_for_hint("lane", 1) is True
    assert hands.settle(hands.claim_one())
    with pytest.raises(BrokerAway):
        RedisBroker(url, "tests").now()


@pytest.mark.parametrize(
    ("info", "sentence"),
    [
        ({"redis_version": "6.0.16"}, "Redis 6.0.16 is too old: jobs need Redis 6.2"),
        ({"redis_version": "7.0.15", "role": "slave"}, "is a read-only replica"),
        ({"redis_version": "7.0.15", "maxmemory_policy": "allkeys-lru"}, "set maxmemory-policy to noeviction"),
    ],
)
def test_a_server_that_will_not_do_is_refused_in_one_sentence(info, sentence):
    with pytest.raises(BrokerAway, match=sentence):
        check_server(info)


@pytest.mark.parametrize(
    ("info", "sentence"),
    [
        ({"redis_version": "7.0.15"}, None),
        ({"redis_version": "7.2.15"}, "Redis 7.2.15 has a known fault .*15562.*: update it to 7.2.16 or newer"),
        ({"redis_version": "7.2.16"}, None),
        ({"redis_version": "7.4.5"}, "14165.*7.4.6"),
        ({"redis_version": "8.6.2"}, "CVE-2026-23479.*8.6.3"),
        ({"redis_version": "8.6.3"}, None),
        ({"redis_version": "7.2.4", "server_name": "valkey", "valkey_version": "8.0.7"}, "Valkey 8.0.7 .*8.0.8"),
        ({"redis_version": "7.2.4", "server_name": "valkey", "valkey_version": "8.0.8"}, None),
        ({}, None),
    ],
)
def test_a_version_with_a_known_fault_is_told_in_one_sentence(info, sentence):
    found = known_fault(info)
    assert found is None if sentence is None else re.search(sentence, found)


def test_a_database_number_that_does_not_exist_is_said_in_one_sentence(server):
    with pytest.raises(BrokerAway, match="/99 names a database number that this Redis server does not have"):
        RedisBroker(server.url().replace("/0", "/99"), "tests").now()


def test_a_server_that_keeps_info_and_client_to_itself_will_do(server, client):
    rights = ("~{managed:*", "+@all", "-@admin", "-info", "-client", "-config")
    client.execute_command("ACL", "SETUSER", "managed", "reset", "on", f">{HARD}", *rights)
    hands = Hands(RedisBroker(server.url("managed", HARD), "managed"))
    assert hands.broker.wait_for_hint("lane", 0.05) is False
    hands.push()
    assert hands.broker.wait_for_hint("lane", 5) is True
    assert hands.settle(hands.claim_one())


def test_a_waiting_connection_is_not_thrown_out_when_clients_take_too_much_memory(server, client, hands):
    if client.info("server")["redis_version"] < "7":
        return
    hands.broker.wait_for_hint("lane", 0.01)
    assert any("e" in one["flags"] for one in client.client_list())


def test_a_server_that_throws_jobs_away_is_refused(make_server):
    server = make_server(**{"maxmemory-policy": "allkeys-lru"})
    with pytest.raises(BrokerAway, match="it is allkeys-lru"):
        RedisBroker(server.url(), "tests").now()


def test_a_replica_is_refused_at_first_and_when_the_primary_becomes_one(make_server):
    primary, replica = make_server(), make_server()
    hands = Hands(RedisBroker(replica.url(), "tests"))
    hands.push()
    with redis.Redis.from_url(replica.url()) as client:
        client.replicaof("127.0.0.1", primary.port)
    with pytest.raises(BrokerAway, match="read-only replica"):
        hands.push()
    with pytest.raises(BrokerAway, match="read-only replica"):
        RedisBroker(replica.url(), "tests").now()


def test_a_server_that_was_restarted_is_asked_again_at_once(make_server):
    server = make_server(appendonly="yes", appendfsync="always")
    hands = Hands(RedisBroker(server.url(), "tests"))
    job_id = hands.push()
    claimed = hands.claim_one()
    server.stop(signal.SIGKILL)
    with pytest.raises(BrokerAway, match="cannot be reached"):
        hands.push()
    server.start()
    assert hands.settle(claimed, Completed())
    assert claimed.id == job_id
    hands.push()
    assert hands.broker.wait_for_hint("lane", 1) is True


def test_a_server_that_hangs_costs_a_second_and_its_late_answer_is_read_by_nobody(make_server):
    server = make_server()
    hands = Hands(RedisBroker(server.url(), "tests"))
    job_id = hands.push()
    os.kill(server.process.pid, signal.SIGSTOP)
    for _ in range(5):  # another process may have the processor
        began = time.monotonic()
        with pytest.raises(BrokerAway, match="cannot be reached"):
            hands.broker.counts("lane")
        if (took := time.monotonic() - began) < 1.5:
            break
    assert took < 1.5
    os.kill(server.process.pid, signal.SIGCONT)
    assert hands.broker.find("lane", job_id).id == job_id


def test_a_server_that_forgot_the_scripts_gets_them_again(client, hands):
    hands.push()
    client.script_flush()
    assert hands.settle(hands.claim_one())


def test_a_full_server_refuses_jobs_and_drains(make_server):
    server = make_server(maxmemory="3mb")
    hands = Hands(RedisBroker(server.url(), "tests"))
    with pytest.raises(BrokerAway, match="Redis is full"):
        for _ in range(2_000):
            hands.push(message=f'"{"x" * 10_000}"')
    waiting = hands.broker.counts("lane").waiting
    while jobs := hands.claim(10):
        assert all(
            one.counted
            for one in hands.exchange(*(hands.settlement(job, Completed()) for job in jobs), wanted=0).settled
        )
        waiting -= len(jobs)
    assert waiting == 0


def test_a_value_of_another_program_under_a_key_of_ours_is_named_and_stops_no_other_queue(client, hands):
    client.set("{tests:other}:jobs", "mine")
    with pytest.raises(BrokerAway, match="holds a string of another program"):
        hands.push(queue="other")
    assert hands.push_one().status is PushStatus.ACCEPTED


def test_a_child_of_a_fork_does_not_speak_on_its_parents_connection(hands):
    job_id = hands.push()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        found = hands.broker.find("lane", job_id)
        os.write(writer, b"yes" if found else b"no")
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 10) == b"yes"
    assert hands.broker._server._idle
    assert hands.broker.find("lane", job_id).id == job_id


def test_an_address_that_leads_to_another_server_by_now_is_followed_when_the_old_one_takes_nothing(make_server):
    # as with the name of a managed server, behind which a replica takes the place of the primary
    first, second = make_server(), make_server()
    name = Proxy(first.port, redis=True)
    try:
        hands = Hands(RedisBroker(first.url().replace(str(first.port), str(name.port)), "tests"))
        hands.push()
        assert hands.broker.wait_for_hint("lane", 1) is True
        with redis.Redis.from_url(first.url()) as client:
            client.replicaof("127.0.0.1", second.port)
        name.server_port = second.port
        with pytest.raises(BrokerAway, match="read-only replica"):
            hands.push()
        # at once, and no kept connection leads back
        hands.push()
        assert hands.broker.counts("lane").waiting == 1
        with pytest.raises(BrokerAway, match="read-only replica"):
            hands.broker.wait_for_hint("lane", 1)
        assert hands.broker.wait_for_hint("lane", 1) is True
    finally:
        name.close()


@pytest.mark.parametrize("parser", PARSERS)
def test_hiredis_and_the_parser_in_python_read_the_same(server, client, monkeypatch, parser):
    broker = RedisBroker(server.url(), "tests")
    monkeypatch.setitem(broker._server._options, "parser_class", parser)
    hands = Hands(broker)
    first = hands.push(message='"é' + "x" * 70_000 + '"')
    hands.push(key="k")
    assert broker.wait_for_hint("lane", 1) is True
    jobs = hands.claim(2)
    assert jobs[0].id == first
    assert all(hands.settle(job) for job in jobs)
    assert broker.wait_for_hint("lane", 0.01) in (True, False)
    assert len(broker.read_facts("lane", "", "", 10).facts) == 2
    broker.close()
