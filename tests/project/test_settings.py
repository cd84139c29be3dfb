"""The environment's variables: what they become, and how a wrong one is refused."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.settings.env import SQLITE_OPTIONS, Environment, read_file
from tests.faults.harness import Site

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path("/srv/site")


def environment(**variables):
    return Environment(variables)


def test_spaces_around_a_value_do_not_count():
    assert environment(NAME="  x ").text("NAME") == "x"


def test_empty_value_counts_as_unset():
    empty = environment(NAME=" ")
    assert empty.text("NAME", "default") == "default"
    assert empty.boolean("NAME", True) is True
    assert empty.integer("NAME", 7) == 7
    assert empty.seconds("NAME", 1.5) == 1.5
    assert empty.words("NAME", ("a",)) == ["a"]


def test_value_that_begins_with_a_dollar_sign_is_kept():
    assert environment(SECRET_KEY="$ecret").text("SECRET_KEY") == "$ecret"


@pytest.mark.parametrize(
    ("written", "meant"), [("Yes", True), ("on", True), ("1", True), ("FALSE", False), ("0", False)]
)
def test_boolean_knows_the_usual_words(written, meant):
    assert environment(DEBUG=written).boolean("DEBUG", not meant) is meant


@pytest.mark.parametrize(
    "read",
    [
        lambda env: env.boolean("NAME"),
        lambda env: env.integer("NAME", 1),
        lambda env: env.integer("PORT", 1, highest=65535),
        lambda env: env.seconds("NAME", 1),
        lambda env: env.choice("NAME", ("INFO",), "INFO"),
        lambda env: env.rate("NAME", "1/day"),
        lambda env: env.web_address("NAME"),
        lambda env: env.networks("NAME"),
        lambda env: env.database("NAME", "", FOLDER),
        lambda env: env.mail("NAME", "", FOLDER),
    ],
)
def test_wrong_value_is_refused_and_the_variable_named(read):
    with pytest.raises(ImproperlyConfigured, match=r"^(NAME|PORT)"):
        read(environment(NAME="maybe", PORT="70000"))


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "soon"])
def test_seconds_are_a_finite_number(value):
    with pytest.raises(ImproperlyConfigured, match="JOBS_LEASE"):
        environment(JOBS_LEASE=value).seconds("JOBS_LEASE", 30)


def test_list_is_split_and_stripped():
    assert environment(ALLOWED_HOSTS="a.org, b.org,").words("ALLOWED_HOSTS") == ["a.org", "b.org"]


def test_relative_sqlite_path_starts_at_the_projects_folder():
    assert environment(U="sqlite:///data/x.sqlite3").database("U", "", FOLDER)["NAME"] == FOLDER / "data/x.sqlite3"
    assert environment(U="sqlite:////data/x.sqlite3").database("U", "", FOLDER)["NAME"] == Path("/data/x.sqlite3")


def test_sqlite_address_runs_in_wal_mode_with_immediate_transactions():
    options = environment(U="sqlite:///x.sqlite3?timeout=5").database("U", "", FOLDER)["OPTIONS"]
    assert options == {**SQLITE_OPTIONS, "timeout": 5}


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite://:memory:", "mysql://u@h/n", "postgres://u@h", "postgres://u@h:x/n"]
)
def test_database_that_cannot_hold_jobs_is_refused(url):
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL cannot be used"):
        environment(DATABASE_URL=url).database("DATABASE_URL", "", FOLDER)


def test_postgres_address_is_passed_through():
    config = environment(U="postgres://u:p%40ss%2Fw%23@h:5433/n?conn_max_age=60&sslmode=require").database(
        "U", "", FOLDER
    )
    assert config["ENGINE"] == "django.db.backends.postgresql"
    assert (config["USER"], config["PASSWORD"], config["HOST"], config["PORT"]) == ("u", "p@ss/w#", "h", 5433)
    assert config["CONN_MAX_AGE"] == 60
    assert config["OPTIONS"] == {"sslmode": "require"}


def test_switch_of_a_database_is_a_boolean():
    read = environment(U="postgres://h/n?disable_server_side_cursors=false").database("U", "", FOLDER)
    assert read["DISABLE_SERVER_SIDE_CURSORS"] is False
    with pytest.raises(ImproperlyConfigured, match="disable_server_side_cursors is true or false"):
        environment(U="postgres://h/n?disable_server_side_cursors=maybe").database("U", "", FOLDER)


def test_boolean_option_of_a_database_is_a_boolean():
    assert environment(U="postgres://h/n?pool=true").database("U", "", FOLDER)["OPTIONS"] == {"pool": True}


@pytest.mark.parametrize("name", ["DATABASE_URL", "EMAIL_URL", "REDIS_URL"])
def test_refused_address_is_not_shown_since_it_holds_a_password(name):
    env = Environment({name: "nonsense://user:hunter2@host:port/x"})
    readers = {
        "DATABASE_URL": lambda: env.database(name, "", FOLDER),
        "EMAIL_URL": lambda: env.mail(name, "", FOLDER),
        "REDIS_URL": env.redis,
    }
    with pytest.raises(ImproperlyConfigured, match=name) as refused:
        readers[name]()
    assert "hunter2" not in str(refused.value)


def test_redis_address_is_built_from_its_parts():
    env = environment(REDIS_HOST="cache", REDIS_PASSWORD="p@ss/w#rd")
    assert env.redis() == "redis://:p%40ss%2Fw%23rd@cache:6379/0"


def test_redis_is_unset_when_nothing_names_it():
    assert environment(REDIS_PORT="6380", REDIS_URL="").redis() == ""


def test_valkey_is_redis():
    assert environment(REDIS_URL="valkey://h:6379/1").redis() == "redis://h:6379/1"


@pytest.mark.parametrize(
    "url",
    [
        "sentinel://a:26379,b/main",
        "redis+sentinel://user:p%40ss@a:26379,b:26380,[::1]:1/main/2?sentinel_password=x",
        "rediss+sentinel://a/main/0",
    ],
)
def test_redis_by_its_sentinels_is_taken_as_it_is(url):
    assert environment(REDIS_URL=url).redis() == url


@pytest.mark.parametrize(
    "url",
    [
        *("http://h", "redis://:a/b#c@h:6379/0", "redis://h:6379/first", "redis://"),
        *("sentinel://a,b", "sentinel://a;sentinel://b/main", "redis+sentinel://a:x/main", "sentinel://a,/main"),
        *("sentinel://:a/b@h/main/0", "sentinel://a/main/first", "sentinels://a/main"),
    ],
)
def test_redis_address_that_would_lead_elsewhere_is_refused(url):
    with pytest.raises(ImproperlyConfigured, match="REDIS_URL"):
        environment(REDIS_URL=url).redis()


def test_two_redis_addresses_are_refused():
    with pytest.raises(ImproperlyConfigured, match="REDIS_URL and REDIS_HOST"):
        environment(REDIS_URL="redis://a", REDIS_HOST="b").redis()


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("smtp://h", {"port": 25, "use_tls": False, "use_ssl": False}),
        ("smtp+tls://u:p%2F@h", {"port": 587, "use_tls": True, "username": "u", "password": "p/"}),
        ("smtp+ssl://h", {"port": 465, "use_ssl": True}),
        ("filemail:///var/mail", {"file_path": "/srv/site/var/mail"}),
        ("filemail:////var/mail", {"file_path": "/var/mail"}),
    ],
)
def test_mail_address_becomes_a_backend(url, options):
    backend = environment(EMAIL_URL=url).mail("EMAIL_URL", "", FOLDER)
    assert backend["OPTIONS"].items() >= options.items()


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("resend://re_Ab1", {"api_key": "re_Ab1"}),
        ("SendGrid://SG.a%2Fb", {"api_key": "SG.a/b"}),
        ("postmark://token", {"server_token": "token"}),
        ("mailgun://k?sender_domain=mg.example.org", {"api_key": "k", "sender_domain": "mg.example.org"}),
        ("unisender-go://k?api_url=https://go.example/", {"api_key": "k", "api_url": "https://go.example/"}),
    ],
)
def test_mail_service_is_named_by_the_same_address(url, options):
    provider = environment(EMAIL_URL=url).mail_provider()
    assert provider.options == options
    assert "Ab1" not in repr(provider)


@pytest.mark.parametrize("url", ["", "smtp://h", "filemail:///var/mail", "nonsense"])
def test_any_other_address_names_no_mail_service(url):
    assert environment(EMAIL_URL=url).mail_provider() is None


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"EMAIL_URL": "resend://"}, "EMAIL_URL cannot be used: it holds no key"),
        ({"EMAIL_URL": "resend://hunter2/x"}, "EMAIL_URL cannot be used: it holds no key, or a /"),
        ({"EMAIL_URL": "resend://hunter2?x"}, "EMAIL_URL cannot be used"),
        ({"EMAIL_URL": "mailjet://hunter2"}, r"EMAIL_URL cannot be used: this service needs more: \?secret_key="),
        ({"EMAIL_URL": "resend://k", "EMAIL_WEBHOOK_KEY": "hunter2"}, "EMAIL_WEBHOOK_KEY cannot be used"),
        ({"EMAIL_URL": "resend://k", "EMAIL_WEBHOOK_KEY": "whsec_"}, "EMAIL_WEBHOOK_KEY cannot be used"),
        ({"EMAIL_URL": "sendgrid://k", "EMAIL_WEBHOOK_KEY": "aHVudGVyMg=="}, "EMAIL_WEBHOOK_KEY cannot be used"),
        ({"EMAIL_URL": "brevo://k", "EMAIL_WEBHOOK_KEY": "x"}, "EMAIL_WEBHOOK_KEY .*: this service's webhooks"),
        ({"EMAIL_URL": "brevo://k", "EMAIL_WEBHOOK_SECRET": "hunter2"}, "EMAIL_WEBHOOK_SECRET cannot be used: it is"),
        ({"EMAIL_URL": "brevo://k", "EMAIL_WEBHOOK_SECRET": ":hunter2"}, "EMAIL_WEBHOOK_SECRET cannot be used"),
    ],
)
def test_wrong_mail_service_is_refused_and_its_secret_not_shown(variables, sentence):
    with pytest.raises(ImproperlyConfigured, match=sentence) as refused:
        environment(**variables).mail_provider()
    assert "hunter2" not in str(refused.value)


def test_environment_wins_over_the_file_but_an_empty_variable_does_not(tmp_path):
    (tmp_path / ".env").write_text("A=file\nB=file\nC='$file'\n# a remark\n", encoding="utf-8")
    env = Environment.of_site({"A": "shell", "B": ""}, tmp_path)
    assert [env.text(name) for name in "ABC"] == ["shell", "file", "$file"]


def test_reading_a_file_changes_nothing_in_the_process(tmp_path):
    (tmp_path / ".env").write_text("ESTEIRA_TEST_LEAK=1\n", encoding="utf-8")
    assert read_file(tmp_path / ".env") == {"ESTEIRA_TEST_LEAK": "1"}
    assert "ESTEIRA_TEST_LEAK" not in os.environ
    assert read_file(tmp_path / "none") == {}


def manage(*arguments, **variables):
    """Run a command under the site's settings and nothing but these variables."""
    env = {"PATH": os.environ["PATH"], "ENV_FILE": os.devnull, **variables}
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)


def site(code, **variables):
    return manage("shell", "-v", "0", "-c", f"from django.conf import settings\n{code}", **variables)


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({}, "SECRET_KEY is not set"),
        ({"DEBUG": "maybe"}, "DEBUG='maybe'"),
        ({"DEBUG": "1", "DATABASE_URL": "nonsense"}, "DATABASE_URL cannot be used"),
        ({"DEBUG": "1", "JOBS_LEASE": "0"}, "JOBS_LEASE=0"),
        ({"DEBUG": "1", "EMAIL_URL": "resend://"}, "EMAIL_URL cannot be used"),
        ({"SECRET_KEY": "x", "REDIS_URL": "redis://h"}, "JOBS_NAMESPACE is not set"),
    ],
)
def test_wrong_setting_stops_the_start_with_one_sentence(variables, sentence):
    ended = manage("check", **variables)
    assert ended.returncode == 78
    assert ended.stderr.startswith(f"Wrong configuration: {sentence}")
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", ["migrate", "makemigrations", "shell", "run_huey", "jobs", "runserver"])
def test_wrong_setting_stops_every_command(command):
    ended = manage(command, DEBUG="maybe")
    assert (ended.returncode, len(ended.stderr.splitlines())) == (78, 1), ended.stderr


def test_production_is_strict_and_development_is_not():
    line = "print(settings.DEBUG, settings.SECURE_SSL_REDIRECT, settings.SESSION_COOKIE_SECURE, settings.ALLOWED_HOSTS)"
    assert site(line, SECRET_KEY="x", ALLOWED_HOSTS="a.org").stdout.strip() == "False True True ['a.org']"
    assert site(line, DEBUG="1").stdout.startswith("True False False ['localhost'")


@pytest.mark.parametrize(("given", "believed"), [("true", "True True"), ("", "False False")])
def test_a_proxy_is_believed_only_if_trusted(given, believed):
    line = "print('config.proxy.ClientAddress' in settings.MIDDLEWARE, settings.SECURE_PROXY_SSL_HEADER is not None)"
    assert site(line, SECRET_KEY="x", TRUST_PROXY=given).stdout.strip() == believed


def test_static_files_are_hashed_in_production_and_untouched_in_development():
    line = "print(settings.STORAGES['staticfiles']['BACKEND'], *settings.MIDDLEWARE)"
    backend, *middleware = site(line, SECRET_KEY="x").stdout.split()
    assert backend == "whitenoise.storage.CompressedManifestStaticFilesStorage"
    assert [name.rpartition(".")[2] for name in middleware[:6]] == [
        "HealthCheck",
        "MetricsMiddleware",
        "RequestIdMiddleware",
        "SecurityMiddleware",
        "ContentSecurityPolicy",
        "WhiteNoiseMiddleware",
    ]
    assert "whitenoise" not in site(line, DEBUG="1").stdout


def test_mail_is_stated_one_way_only():
    line = "from django.core.mail import get_connection; print(type(get_connection()).__module__, settings.MAIL_FOLDER)"
    ended = site(line, DEBUG="1", EMAIL_URL="filemail:///var/letters")
    assert ended.stdout.split() == ["django.core.mail.backends.filebased", str(ROOT / "var" / "letters")], ended.stderr


def test_mail_service_is_what_all_mail_of_the_site_goes_by():
    line = (
        "from emails.transport import way_out; way = way_out(); "
        "print(way.name, way.recognises_repetition, settings.MAIL_FOLDER)"
    )
    ended = site(line, DEBUG="1", EMAIL_URL="resend://re_1")
    assert ended.stdout.split() == ["resend", "True", "None"], ended.stderr


def test_suite_ignores_what_the_shell_says_of_a_site():
    env = {
        **os.environ,
        "DATABASE_URL": "nonsense",
        "REDIS_URL": "nonsense",
        "SECRET_KEY": "from-the-shell",
        "DEBUG": "maybe",
        "DJANGO_SETTINGS_MODULE": "config.settings.test",
    }
    code = "from django.conf import settings; print(settings.SECRET_KEY, settings.JOBS.get('REDIS_URL'))"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert ended.stdout.split() == ["test", "None"], ended.stderr


def test_networks_are_a_list_of_networks_and_addresses():
    networks = environment(N="10.1.2.3, 10.2.0.0/16,fd00:1::/64").networks("N")
    assert [str(network) for network in networks] == ["10.1.2.3/32", "10.2.0.0/16", "fd00:1::/64"]
    with pytest.raises(ImproperlyConfigured, match="N='10.1.2.3/8' is not a list of networks"):
        environment(N="10.1.2.3/8").networks("N")


@pytest.mark.parametrize(("debug", "networks"), [("true", ["127.0.0.0/8", "::1/128"]), ("false", [])])
def test_webhooks_reach_no_private_network_in_production(debug, networks):
    script = "from config.settings import site; print([str(one) for one in site.OUTGOING_PRIVATE_NETWORKS])"
    env = {"PATH": os.environ["PATH"], "ENV_FILE": os.devnull, "SECRET_KEY": "x" * 50, "DEBUG": debug}
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
    )
    assert ended.stdout.strip() == str(networks), ended.stderr


def test_a_project_without_leads_passes_its_checks_on_the_same_base(tmp_path: Path) -> None:
    """It is the one that the fault tests start: what the product names in its settings is not installed there."""
    done = Site(tmp_path).manage("check", "--fail-level", "WARNING")
    assert done.returncode == 0, done.stderr


def test_old_keys_stay_valid_and_no_browser_is_told_to_build_the_domain_in():
    names = ("SECRET_KEY_FALLBACKS", "SECURE_HSTS_PRELOAD", "SECURE_HSTS_SECONDS")
    script = f"from config.settings import site; print([getattr(site, name) for name in {names}])"
    env = {"PATH": os.environ["PATH"], "ENV_FILE": os.devnull, "SECRET_KEY": "x" * 50, "SECRET_KEY_FALLBACKS": "y, z"}
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
    )
    assert ended.stdout.strip() == "[['y', 'z'], False, 31536000]", ended.stderr
