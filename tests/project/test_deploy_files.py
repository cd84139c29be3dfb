"""deploy/: the image, compose.yaml and the systemd units, read as Docker and systemd read them."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from configparser import ConfigParser
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from redis import Redis

from jobs.conf import JobsSettings
from jobs.supervise.supervisor import CLOSE_LIMIT, EXIT_TIME, LOOK_EVERY
from jobs.work.trees import KILL_LIMIT
from tests.servers import RedisServer, cannot_be_had

from .deployment import ROOT, exec_form, instructions, stages
from .variables import variables_of_the_web_server, variables_read

#: What a stop of run_huey may take at most with the default settings.
STOP_TAKES = JobsSettings().grace + EXIT_TIME + KILL_LIMIT + CLOSE_LIMIT
UNITS = ["web", "workers"]
#: What compose.yaml does not pass on, and why; everything else that is read must reach the containers.
NOT_PASSED_ON = {
    "DEBUG": "the image has no use but production",
    "ENV_FILE": "the image says it: there is no .env in it",
    "WEB_BIND": "the image says it: all addresses of the container",
    "JOBS_ALLOW_NETWORK_FILE_SYSTEM": "of SQLite; the jobs are in PostgreSQL here",
    "TEST_DATABASE_URL": "the image holds no tests",
    "TEST_DATABASE_NAME": "the image holds no tests",
}


def web_setting(name: str) -> int:
    text = (ROOT / "deploy" / "gunicorn.conf.py").read_text(encoding="utf-8")
    return int(re.search(rf"^{name} = (\d+)", text, re.MULTILINE)[1])  # type: ignore[index]


# The image


def test_the_image_runs_as_a_fixed_user_and_not_as_root() -> None:
    (user,) = [rest for word, rest in stages()[-1] if word == "USER"]
    uid, gid = user.split(":")
    made = " ".join(rest for word, rest in stages()[-1] if word == "RUN")
    assert int(uid) >= 1000
    assert f"--uid {uid}" in made
    assert f"--gid {gid}" in made
    after = [word for word, _ in stages()[-1]]
    assert "RUN" not in after[after.index("USER") :]


def test_the_image_s_processes_get_their_signals_themselves() -> None:
    assert exec_form("CMD")[0] == "gunicorn"
    assert ("STOPSIGNAL", "SIGTERM") in stages()[-1]
    assert "ENTRYPOINT" not in [word for word, _ in instructions()], "`command:` of compose.yaml stands alone"
    (check,) = [rest for word, rest in stages()[-1] if word == "HEALTHCHECK"]
    assert re.search(r'CMD \["python", "-c", ', check)


def test_the_image_is_made_from_the_hashed_lock_and_holds_no_build_tools() -> None:
    (install,) = [rest for word, rest in stages()[0] if word == "RUN" and " install " in rest]
    assert "--require-hashes" in install
    assert "-r requirements.txt" in install
    assert "--without-pip" in install
    last = " ".join(rest for _, rest in stages()[-1])
    assert "pip" not in last
    assert "apt" not in last


def test_everything_that_the_image_copies_is_let_into_the_build_and_no_secret_is() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line]
    rules = [line for line in lines if not line.startswith("#")]
    assert rules[0] == "*"
    let_in = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = {source for word, rest in stages()[0] if word == "COPY" for source in rest.split()[:-1]}
    assert copied == let_in
    for secret in (".env", "var/esteira.sqlite3", "deploy/compose.env", ".git/config"):
        assert not any(fnmatch(secret, rule) or secret.startswith(rule + "/") for rule in let_in)


def test_no_image_names_a_registry() -> None:
    named = [rest.split()[0] for word, rest in instructions() if word == "FROM"]
    named += [service["image"] for service in compose()["services"].values()]
    assert [name for name in named if "/" in name] == []


# compose.yaml


def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))
    return document


def seconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+) ?(s|min|m|)", text).groups()  # type: ignore[union-attr]
    return float(number) * (60 if unit.startswith("m") else 1)


def test_web_and_workers_start_only_after_a_migration_that_went_well() -> None:
    services = compose()["services"]
    for name in ("web", "workers"):
        assert services[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    assert services["migrate"]["depends_on"]["db"]["condition"] == "service_healthy"
    assert services["migrate"]["restart"] == "no"


def test_containers_have_more_time_to_stop_than_their_processes_take() -> None:
    services = compose()["services"]
    assert seconds(services["workers"]["stop_grace_period"]) > STOP_TAKES
    assert seconds(services["web"]["stop_grace_period"]) > web_setting("graceful_timeout")


def test_redis_is_not_started_unless_asked_for() -> None:
    services = compose()["services"]
    assert services["redis"]["profiles"] == ["redis"]
    assert [name for name, service in services.items() if "profiles" in service] == ["redis"]
    assert not any("redis" in service.get("depends_on", {}) for service in services.values())


def test_redis_keeps_its_jobs_over_a_crash_and_throws_none_away_when_it_is_full() -> None:
    command = [str(word) for word in compose()["services"]["redis"]["command"]]
    given = {name.removeprefix("--"): value for name, value in zip(command[1::2], command[2::2], strict=True)}
    assert given.pop("maxmemory").startswith("${REDIS_MAXMEMORY:-")
    server = RedisServer.create(**given)
    server.start()
    try:
        client = Redis.from_url(server.url())
        assert client.info()["maxmemory_policy"] == "noeviction"
        client.set("kept", 1)
        server.stop(signal.SIGKILL)
        server.start()
        assert client.get("kept") == b"1"
    finally:
        server.remove()


def test_no_secret_has_a_value_or_a_default() -> None:
    text = (ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8")
    for name in ("SECRET_KEY", "POSTGRES_PASSWORD", "ALLOWED_HOSTS", "EMAIL_URL"):
        used = re.findall(rf"\$\{{{name}(\W[^}}]*)?\}}", text)
        assert used
        assert all(rest.startswith(":?") for rest in used), name
    example = (ROOT / "deploy" / "compose.env.example").read_text(encoding="utf-8")
    assert re.findall(r"^(?:SECRET_KEY|POSTGRES_PASSWORD|CRM_WEBHOOK_SECRET)=(.*)$", example, re.MULTILINE) == [""] * 3


def test_every_variable_of_compose_has_a_line_in_its_example_file() -> None:
    text = (ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8")
    example = (ROOT / "deploy" / "compose.env.example").read_text(encoding="utf-8")
    named = set(re.findall(r"\$\{([A-Z_]+)", text)) | {"COMPOSE_PROFILES"}  # which Compose itself reads
    assert named == set(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE))


def test_every_variable_that_is_read_reaches_the_containers() -> None:
    read = variables_read() | variables_of_the_web_server()
    assert set(NOT_PASSED_ON) <= read
    services = compose()["services"]
    assert set(services["web"]["environment"]) == read - set(NOT_PASSED_ON)
    for name in ("migrate", "workers"):
        assert set(services[name]["environment"]) == variables_read() - set(NOT_PASSED_ON), name


def test_a_variable_that_is_not_set_is_empty_in_the_containers_or_refused() -> None:
    for name, value in compose()["services"]["web"]["environment"].items():
        if name != "DATABASE_URL":
            assert re.fullmatch(rf"\$\{{{name}:(-|\?).*\}}", str(value)), name


def test_commands_of_compose_run_without_a_shell() -> None:
    for name, service in compose()["services"].items():
        command = service.get("command", [])
        assert isinstance(command, list), name
        assert not command or command[0] not in {"sh", "bash"}, name


# systemd


def unit(name: str) -> ConfigParser:
    parser = ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(ROOT / "deploy" / "systemd" / f"esteira-{name}.service", encoding="utf-8")
    return parser


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_is_stopped_through_its_main_process_only(name: str) -> None:
    service = unit(name)["Service"]
    assert (service["Type"], service["NotifyAccess"], service["KillMode"]) == ("notify", "main", "mixed")
    assert not re.search(r"\b(sh|bash) -c", service["ExecStart"])


def test_systemd_waits_longer_than_a_stop_takes() -> None:
    assert seconds(unit("workers")["Service"]["TimeoutStopSec"]) > STOP_TAKES
    assert seconds(unit("web")["Service"]["TimeoutStopSec"]) > web_setting("graceful_timeout")


def test_only_the_workers_are_watched_since_gunicorn_gives_no_signs_of_life() -> None:
    # a supervisor may be busy for KILL_LIMIT with each child that it ends, and for CLOSE_LIMIT at the end
    assert seconds(unit("workers")["Service"]["WatchdogSec"]) > 2 * (LOOK_EVERY + KILL_LIMIT + CLOSE_LIMIT)
    assert "WatchdogSec" not in unit("web")["Service"]


@pytest.mark.parametrize(("name", "codes"), [("web", "78 3"), ("workers", "78")])
def test_a_wrong_setting_is_not_tried_again_and_everything_else_is(name: str, codes: str) -> None:
    service = unit(name)["Service"]
    assert (service["Restart"], service["RestartPreventExitStatus"]) == ("on-failure", codes)
    assert unit(name)["Unit"]["StartLimitIntervalSec"] == "0"


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_runs_without_privileges_and_writes_only_to_its_own_folder(name: str) -> None:
    service = unit(name)["Service"]
    assert service["User"] == "esteira"
    assert (service["ProtectSystem"], service["NoNewPrivileges"], service["PrivateTmp"]) == ("strict", "yes", "yes")
    assert service["CapabilityBoundingSet"] == ""
    assert service["StateDirectory"] == "esteira"
    assert "ReadWritePaths" not in service


def test_systemd_itself_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        cannot_be_had("no systemd-analyze: install the package systemd")
    for name in UNITS:
        text = (ROOT / "deploy" / "systemd" / f"esteira-{name}.service").read_text(encoding="utf-8")
        there = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE)
        (tmp_path / f"esteira-{name}.service").write_text(there, encoding="utf-8")
    command = ["systemd-analyze", "verify", "--man=no", *map(str, sorted(tmp_path.glob("*.service")))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    ours = [line for line in done.stderr.splitlines() if "esteira" in line]
    assert (done.returncode, ours) == (0, []), done.stderr
