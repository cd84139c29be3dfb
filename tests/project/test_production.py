"""The site as it is deployed: the image's files, gunicorn and run_huey, in production settings."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.databases import postgresql_server
from tests.faults.harness import wait_for
from tests.ports import free_port

from .deployment import collect_static, copy_release, exec_form

pytestmark = pytest.mark.slow

HOST = "leads.example.org"


class Answer:
    def __init__(self, response: HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.bytes = response.read()
        self.text = self.bytes.decode(errors="replace")


class Production:
    """One site: a folder with a release, a database, and the processes that serve it."""

    def __init__(self, release: Path, folder: Path, database: str) -> None:
        self.release = release
        self.log_path = folder / "log"
        self.port = free_port()
        self.environment = {
            "PATH": os.environ["PATH"],
            "ENV_FILE": os.devnull,
            "SECRET_KEY": "x" * 50,
            "ALLOWED_HOSTS": HOST,
            "DATABASE_URL": database,
            "EMAIL_URL": f"filemail:///{folder}/mail",
            "TRUST_PROXY": "true",
            "WEB_BIND": f"127.0.0.1:{self.port}",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        with self.log_path.open("ab") as log:
            process = subprocess.Popen(
                command, cwd=self.release, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        self.processes.append(process)
        return process

    def start_web(self) -> subprocess.Popen[bytes]:
        """As the image does."""
        program, *arguments = exec_form("CMD")
        web = self.start(sys.executable, "-m", program, *arguments)
        wait_for(lambda: self.answers() or web.poll() is not None, what="start of gunicorn")
        assert web.poll() is None, self.log
        return web

    def answers(self) -> bool:
        try:
            return bool(self.get("/health/").status)
        except OSError:
            return False

    def manage(self, *words: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=self.release,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done.stdout

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, headers)

    def ask(self, method: str, path: str, headers: dict[str, str], body: str | None = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


#: What a proxy on the same machine says of a request that came by HTTPS.
BY_PROXY = {"Host": HOST, "X-Forwarded-Proto": "https"}


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("release")
    copy_release(folder)
    done = collect_static(folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def site(
    request: pytest.FixtureRequest, release: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Production]:
    """A site with its web server running and its database migrated."""
    folder = tmp_path_factory.mktemp("site")
    if request.param == "sqlite":
        database = f"sqlite:///{folder}/esteira.sqlite3"
    else:
        database = postgresql_server().create_database("production")
    site = Production(release, folder, database)
    try:
        site.start_web()
        empty = site.get("/ready/?exclude=keeper")
        assert (empty.status, empty.text.split("\n")[0]) == (503, "store ok"), empty.text
        assert site.get("/health/").status == 200, "it is alive"
        site.manage("migrate", "--no-input", "-v", "0")
        yield site
    finally:
        site.close()


def test_probes_ask_for_neither_host_nor_https_and_say_what_is_missing(site: Production) -> None:
    answer = site.get("/health/", Host="10.0.0.7:8000")
    assert (answer.status, answer.text) == (200, "ok\n")
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in answer.headers
    answer = site.get("/ready/", Host="10.0.0.7:8000")
    assert (answer.status, answer.text) == (503, "store ok\nmigrations ok\nbroker ok\nkeeper none\n")
    answer = site.get("/ready/?exclude=keeper&exclude=broker", Host="10.0.0.7:8000")
    assert (answer.status, answer.text) == (200, "store ok\nmigrations ok\n")
    assert site.get("/ready/?exclude=kepeer", Host="10.0.0.7:8000").status == 400
    assert site.get("/admin/", Host="10.0.0.7:8000").status == 400, "every other page asks for the host"


def test_plain_http_is_sent_to_https(site: Production) -> None:
    answer = site.get("/admin/login/", Host=HOST)
    assert (answer.status, answer.headers["Location"]) == (301, f"https://{HOST}/admin/login/")


def test_a_page_comes_with_its_static_files_hashed_compressed_and_under_the_policy(site: Production) -> None:
    page = site.get("/accounts/login/", **BY_PROXY)
    assert page.status == 200
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    assert "max-age=31536000" in page.headers["Strict-Transport-Security"]
    styles = re.findall(r'href="(/static/accounts/site\.[0-9a-f]{12}\.css)"', page.text)
    assert len(styles) == 1
    style = site.get(styles[0], **BY_PROXY, **{"Accept-Encoding": "gzip"})
    assert style.status == 200
    assert "immutable" in style.headers["Cache-Control"]
    assert "default-src 'self'" in style.headers["Content-Security-Policy"]
    assert "--accent" in gzip.decompress(style.bytes).decode()


def test_every_static_file_that_a_page_of_the_product_names_is_served(site: Production) -> None:
    names = re.findall(r'"(/static/[^"]+)"', site.get("/accounts/login/", **BY_PROXY).text)
    assert names
    assert {name: site.get(name, **BY_PROXY).status for name in names} == dict.fromkeys(names, 200)


def test_a_lead_from_the_public_form_is_scored_by_the_workers_beside_the_web(site: Production) -> None:
    make = "from accounts.models import Organization; Organization.objects.create(name='Aurora', slug='aurora')"
    site.manage("shell", "-v", "0", "-c", make)
    huey = site.start(sys.executable, "manage.py", "run_huey")
    page = site.get("/forms/aurora/", **BY_PROXY)
    cookies = "; ".join(line.partition(";")[0] for line in page.headers.get_all("Set-Cookie") or [])
    hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.text)
    sent = {**dict(hidden), "name": "Maria Souza", "email": "maria.souza@example.com.br"}
    answer = site.ask(
        "POST",
        "/forms/aurora/",
        {
            **BY_PROXY,
            "Referer": f"https://{HOST}/forms/aurora/",
            "Cookie": cookies,
            "Content-Type": "application/x-www-form-urlencoded",
        },
        urlencode(sent),
    )
    assert answer.status == 302, answer.text

    def scored() -> bool:
        assert huey.poll() is None, site.log
        jobs = json.loads(site.manage("jobs", "list", "--json"))
        return any(job["task"] == "leads.calculate_lead_score" and job["state"] == "completed" for job in jobs)

    wait_for(scored)
    huey.terminate()
    assert huey.wait(60) == 0
    assert "maria" not in site.log.lower()


def test_access_log_holds_neither_addresses_nor_queries_nor_tokens_nor_probes(site: Production) -> None:
    site.get("/mail/unsubscribe/secret:token/?next=hidden", **BY_PROXY, **{"User-Agent": "Browser of Ana"})
    site.get("/health/")
    site.get("/ready/")
    wait_for(lambda: "GET /mail/unsubscribe/***/" in site.log)
    lines = [line for line in site.log.splitlines() if re.search(r"\] (GET|POST|HEAD) /", line)]
    assert lines
    told = "\n".join(lines)
    for word in ("127.0.0.1", "secret", "hidden", "Ana", "/health/", "/ready/"):
        assert word not in told


@pytest.fixture
def own_site(release: Path, tmp_path: Path) -> Iterator[Production]:
    site = Production(release, tmp_path, f"sqlite:///{tmp_path}/esteira.sqlite3")
    yield site
    site.close()


def test_sigterm_ends_the_web_server_in_time_though_a_client_keeps_its_connection(own_site: Production) -> None:
    web = own_site.start_web()
    kept = http.client.HTTPConnection("127.0.0.1", own_site.port, timeout=30)
    kept.request("GET", "/health/")
    kept.getresponse().read()
    began = time.monotonic()
    web.terminate()
    assert web.wait(60) == 0
    print(f"ended after {time.monotonic() - began:.1f} s")
    kept.close()


def test_wrong_variable_of_the_web_server_ends_its_start_with_78_and_one_sentence(own_site: Production) -> None:
    own_site.environment["WEB_THREADS"] = "many"
    program, *arguments = exec_form("CMD")
    assert own_site.start(sys.executable, "-m", program, *arguments).wait(60) == 78
    assert own_site.log == "Wrong configuration: WEB_THREADS='many': expected 1 to 64\n"


def test_site_that_cannot_be_loaded_ends_the_web_server_with_3(own_site: Production) -> None:
    own_site.environment["SECRET_KEY"] = ""
    # of two processes the second can fail while gunicorn ends because of the first, and it then ends with 1
    own_site.environment["WEB_PROCESSES"] = "1"
    program, *arguments = exec_form("CMD")
    assert own_site.start(sys.executable, "-m", program, *arguments).wait(60) == 3
    assert "SECRET_KEY is not set" in own_site.log


def test_workers_whose_database_is_away_end_with_75_so_that_they_are_started_again(own_site: Production) -> None:
    own_site.environment["DATABASE_URL"] = f"postgres://u:hunter2@127.0.0.1:{free_port()}/n"
    assert own_site.start(sys.executable, "manage.py", "run_huey").wait(60) == os.EX_TEMPFAIL
    assert "check DATABASE_URL and that the database runs" in own_site.log
    assert len(own_site.log.splitlines()) == 1
    assert "hunter2" not in own_site.log


def test_a_proxy_that_the_site_does_not_trust_is_not_believed_by_the_web_server_either(own_site: Production) -> None:
    own_site.environment["TRUST_PROXY"] = ""
    own_site.start_web()
    assert own_site.get("/admin/login/", **BY_PROXY).status == 301
