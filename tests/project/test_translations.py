"""Brazilian Portuguese is complete: in the catalogues, in their compiled form, and on the pages."""

from __future__ import annotations

import argparse
import ast
import gettext
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django.core.management import ManagementUtility, call_command, get_commands, load_command_class
from django.test import Client
from django.utils import translation
from django.utils.translation import gettext as gettext_of_django

from accounts.models import User
from config import language as site_language
from emails.composing import compose
from emails.models import EmailMessage
from jobs import clock
from jobs.models import Job
from tests.leads.people import make_organization
from tests.servers import cannot_be_had

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path("locale/pt_BR/LC_MESSAGES")
#: Whose texts have a catalogue of their own: the product, and what a stranger's project installs.
HOMES = (".", "jobs", "admin_lists")
APPS = ("accounts", "admin_lists", "config", "emails", "jobs", "leads", "notifications")
#: %(name)s, %d, %.1f, %%, {name}
PLACEHOLDER = re.compile(r"%(?:\(\w+\))?[-+ #0]*\d*(?:\.\d+)?[diouxXeEfFgGcrs%]|\{\w*\}")
TAG = re.compile(r"</?\w[^<>]*>|&\w+;")


@dataclass
class Entry:
    """One message of a .po file, with its strings by their keywords."""

    line: int
    strings: dict[str, str] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)

    @property
    def key(self) -> tuple[str | None, str]:
        return self.strings.get("msgctxt"), self.strings["msgid"]

    @property
    def sources(self) -> list[str]:
        return [self.strings[name] for name in ("msgid", "msgid_plural") if name in self.strings]

    @property
    def translations(self) -> list[str]:
        return [text for name, text in self.strings.items() if name.startswith("msgstr")]


def read_catalogue(text: str) -> list[Entry]:
    """The messages of a .po file; its head is the one with an empty msgid."""
    entries: list[Entry] = []
    flags: set[str] = set()
    keyword = ""
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#,"):
            flags |= {flag.strip() for flag in line[2:].split(",")}
        if not line or line.startswith("#"):
            continue
        if not line.startswith('"'):
            name, _blank, line = line.partition(" ")
            # a message begins with its context, or with its msgid where it has none
            if name == "msgctxt" or (name == "msgid" and keyword != "msgctxt"):
                entries.append(Entry(number, flags=flags))
                flags = set()
            keyword = name
        strings = entries[-1].strings
        strings[keyword] = strings.get(keyword, "") + ast.literal_eval(line)
    return entries


def messages(home: str, root: Path = ROOT) -> list[Entry]:
    """What the catalogue of this home translates, without its head."""
    folder = root / home
    entries = read_catalogue((folder / FOLDER / "django.po").read_text(encoding="utf-8"))
    return [entry for entry in entries if entry.strings["msgid"]]


each_home = pytest.mark.parametrize("home", HOMES)


def test_the_catalogues_hold_what_they_should() -> None:
    product, engine, lists = (len(messages(home)) for home in HOMES)
    assert (product > 400, engine > 300, 30 > lists > 5) == (True, True, True)


def test_a_text_of_several_catalogues_has_one_translation() -> None:
    said: dict[tuple[str | None, str], list[str]] = {}
    for entry in (entry for home in HOMES for entry in messages(home)):
        assert said.setdefault(entry.key, entry.translations) == entry.translations


@each_home
def test_every_message_is_translated(home: str) -> None:
    untranslated = [entry.key for entry in messages(home) if not entry.translations or not all(entry.translations)]
    assert untranslated == []


@each_home
def test_every_plural_has_both_forms(home: str) -> None:
    forms = {name for entry in messages(home) for name in entry.strings if name.startswith("msgstr[")}
    plurals = [entry for entry in messages(home) if "msgid_plural" in entry.strings]
    assert not plurals or forms == {"msgstr[0]", "msgstr[1]"}
    assert [entry.key for entry in plurals if len(entry.translations) != 2] == []


@each_home
def test_no_message_is_fuzzy_or_obsolete(home: str) -> None:
    assert [entry.key for entry in messages(home) if "fuzzy" in entry.flags] == []
    text = (ROOT / home / FOLDER / "django.po").read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line.startswith("#~")] == []


@each_home
def test_no_message_stands_twice(home: str) -> None:
    keys = [entry.key for entry in messages(home)]
    assert sorted({key for key in keys if keys.count(key) > 1}, key=str) == []


@each_home
def test_translations_keep_placeholders_and_markup(home: str) -> None:
    different = []
    for entry in messages(home):
        for pattern in (PLACEHOLDER, TAG):
            wanted = [sorted(pattern.findall(source)) for source in entry.sources]
            found = [sorted(pattern.findall(text)) for text in entry.translations]
            pairs = zip(wanted, found, strict=True) if len(found) > 1 else [(wanted[0], found[0])]
            different += [(entry.key, had, has) for had, has in pairs if had != has]
    assert different == []


@each_home
def test_translations_begin_and_end_with_the_same_line_breaks(home: str) -> None:
    def edges(text: str) -> tuple[bool, bool]:
        return text.startswith("\n"), text.endswith("\n")

    broken = [
        entry.key
        for entry in messages(home)
        if {edges(one) for one in entry.sources} != {edges(one) for one in entry.translations}
    ]
    assert broken == []


@each_home
def test_the_head_holds_nothing_of_a_machine_or_a_moment(home: str) -> None:
    head = read_catalogue((ROOT / home / FOLDER / "django.po").read_text(encoding="utf-8"))[0]
    assert not head.strings["msgid"]
    assert not re.search(r"-Date:|Last-Translator:|Report-Msgid|\d{4}-\d\d", head.strings["msgstr"])


@each_home
def test_the_compiled_catalogue_says_what_the_catalogue_says(home: str) -> None:
    with (ROOT / home / FOLDER / "django.mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    expected: dict[Any, str] = {}
    for entry in messages(home):
        context, msgid = entry.key
        key = msgid if context is None else f"{context}\x04{msgid}"
        if "msgid_plural" in entry.strings:
            expected |= {(key, form): text for form, text in enumerate(entry.translations)}
        else:
            expected[key] = entry.strings["msgstr"]
    assert {key: text for key, text in compiled.items() if key != ""} == expected


def test_every_text_of_the_source_is_in_the_catalogue(tmp_path: Path) -> None:
    if shutil.which("xgettext") is None:
        cannot_be_had("no xgettext, which compares the catalogue with the source: install the package gettext")
    left_out = shutil.ignore_patterns("__pycache__", "migrations", "locale")
    for app in APPS:
        shutil.copytree(ROOT / app, tmp_path / app, ignore=left_out)
    shutil.copy(ROOT / "manage.py", tmp_path)
    for home in HOMES:
        (tmp_path / home / "locale").mkdir()
    make = [sys.executable, "-m", "django", "makemessages", "-l", "pt_BR", "--no-wrap", "--no-location"]
    clean = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(make, cwd=tmp_path, env=clean, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    in_source = {(home, *entry.key) for home in HOMES for entry in messages(home, tmp_path)}
    in_catalogue = {(home, *entry.key) for home in HOMES for entry in messages(home)}
    assert len(in_source) > 700
    assert sorted(in_source - in_catalogue, key=str) == [], "renew the catalogue: its head says how"
    assert sorted(in_catalogue - in_source, key=str) == [], "no text of the source uses these any more"


# What people see


@pytest.fixture
def brazilian(client: Client) -> Iterator[Client]:
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = "pt-br,pt;q=0.9"
    with translation.override(None):  # a request leaves its language to the thread, here to the next test
        yield client


@pytest.mark.django_db
def test_web_form_speaks_the_browser_s_language(brazilian: Client) -> None:
    organization = make_organization(slug="aurora")
    page = brazilian.get(f"/forms/{organization.slug}/").content.decode()
    assert '<html lang="pt-br">' in page
    assert f"Escreva para {organization.name}" in page
    assert "Telefone" in page
    refused = brazilian.post(f"/forms/{organization.slug}/", {"name": "Ana"})
    assert "Informe um e-mail ou um telefone." in refused.content.decode()


@pytest.mark.django_db
def test_web_form_is_english_for_other_browsers(client: Client) -> None:
    organization = make_organization(slug="aurora")
    assert f"Write to {organization.name}" in client.get(f"/forms/{organization.slug}/").content.decode()


@pytest.mark.django_db
def test_mail_speaks_the_language_of_its_row() -> None:
    organization = make_organization(language="pt-br")
    message = EmailMessage(
        kind=EmailMessage.Kind.SUBMISSION_CONFIRMATION,
        key="1",
        to="ana@example.com.br",
        organization=organization,
        language=organization.language,
        params={"name": "Ana"},
    )
    mail = compose(message)
    assert mail.subject == f"{organization.name} recebeu sua mensagem"
    assert mail.text.startswith("Olá!\n\nObrigado pela sua mensagem.")
    assert "Responderemos em breve." in mail.html
    assert '<html lang="pt-br">' in mail.html


@pytest.mark.django_db
def test_job_list_of_the_admin_is_in_portuguese(brazilian: Client) -> None:
    now = clock.now()
    Job.objects.create(
        id=clock.new_id(), queue="email", task="t", state="failed", message="{}", created_at=now, ready_at=now
    )
    brazilian.force_login(User.objects.create_superuser("ana@example.org"))
    page = brazilian.get("/admin/jobs/job/").content.decode()
    assert "Falhou em definitivo".casefold() in page.casefold()
    assert "Tentar de novo as falhas definitivas selecionadas" in page
    assert "Cancel the selected jobs" not in page


@pytest.mark.django_db
def test_output_of_a_command_is_in_the_site_s_language(capsys: pytest.CaptureFixture[str]) -> None:
    with translation.override("pt-br"):
        call_command("jobs", "status")
    told = capsys.readouterr().out
    assert "Ninguém atende as filas" in told
    assert "espera mais longa" in told


OUR_COMMANDS = [name for name, app in get_commands().items() if app in APPS]
#: Words of English that no Portuguese help or refusal of a command has.
ENGLISH = re.compile(r"\b(the|of|with|usage|options|arguments?|error|required|expected|invalid|choose|only|done)\b")


def parsers(command: str) -> Iterator[argparse.ArgumentParser]:
    """The command's parser and those of its sub-commands, in the current language."""
    parser = load_command_class(get_commands()[command], command).create_parser("manage.py", command)
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.values()


@pytest.mark.parametrize("command", OUR_COMMANDS)
def test_help_of_a_command_is_in_the_site_s_language(command: str) -> None:
    english = [parser.format_help() for parser in parsers(command)]
    with translation.override("pt-br"):
        portuguese = [parser.format_help() for parser in parsers(command)]
    assert len(english) == len(portuguese) >= (13 if command == "jobs" else 1)
    for theirs, ours in zip(english, portuguese, strict=True):
        assert ENGLISH.search(theirs)
        assert not ENGLISH.search(ours), ours


@pytest.mark.parametrize("command", OUR_COMMANDS)
def test_every_argument_of_a_command_has_a_help_that_is_translated(command: str) -> None:
    helps = [action.help or action.dest for parser in parsers(command) for action in parser._actions]
    with translation.override("pt-br"):
        same = {help for help in helps if help not in (argparse.SUPPRESS, "action") and gettext_of_django(help) == help}
    assert same == set()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("jobs", "faltam argumentos obrigatórios: AÇÃO"),
        ("jobs edit --kwargs {}", "faltam argumentos obrigatórios: ID"),
        ("jobs frobnicate", "argumento AÇÃO: escolha inválida: 'frobnicate'"),
        ("jobs list --frobnicate", "argumentos não reconhecidos: --frobnicate"),
        ("jobs list --queue", "argumento --queue: falta um argumento"),
        ("jobs list --json=1", "argumento --json: o argumento '1' não se aplica aqui"),
        ("jobs status --oldest=x", "argumento --oldest: 'x': o esperado é um número de segundos, de 0 a 31.536.000 ("),
        ("jobs status --old 1", "opção ambígua: --old pode ser --oldest, --oldest-transaction"),
        ("run_huey --threads x", "valor inválido para int: 'x'"),
    ],
)
def test_wrong_words_are_refused_in_the_site_s_language(
    words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with translation.override("pt-br"), pytest.raises(SystemExit) as ended:
        ManagementUtility(["manage.py", *words.split()]).execute()
    refusal = capsys.readouterr().err.partition(": erro: ")[2]
    assert ended.value.code == 2
    assert said in refusal
    assert not ENGLISH.search(refusal), refusal


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"SECRET_KEY": ""}, "SECRET_KEY não está definida"),
        ({"DEBUG": "maybe"}, "DEBUG='maybe' não é true nem false"),
        ({"JOBS_GRACE": "abc"}, "JOBS_GRACE='abc' não é um número de segundos"),
        ({"JOBS_LEASE": "0"}, "JOBS_LEASE=0.0: o esperado é um número de segundos entre 1 e 86400"),
        ({"SECURE_HSTS_SECONDS": "x"}, "SECURE_HSTS_SECONDS='x' não é um número inteiro"),
        ({"SITE_URL": "x"}, "SITE_URL='x' não é um endereço"),
        ({"DATABASE_URL": "sqlite://:memory:"}, "DATABASE_URL não pode ser usada: os workers são outros processos"),
        ({"EMAIL_URL": "smtp://"}, "EMAIL_URL não pode ser usada"),
        ({"REDIS_URL": "x"}, "REDIS_URL não pode ser usada: esquema ou porta"),
        ({"JOBS_NAMESPACE": "!"}, "JOBS_NAMESPACE='!': o esperado são até 64 letras"),
    ],
)
def test_a_wrong_setting_is_named_in_the_site_s_language(variables: dict[str, str], said: str, tmp_path: Path) -> None:
    given = {
        "PATH": os.environ["PATH"],
        "ENV_FILE": os.devnull,
        "LANGUAGE_CODE": "pt-br",
        "SECRET_KEY": "x" * 50,
        "ALLOWED_HOSTS": "leads.example.org",
        "DATABASE_URL": f"sqlite:///{tmp_path}/jobs.sqlite3",
        **variables,
    }
    done = subprocess.run(
        [sys.executable, "manage.py", "run_huey"], cwd=ROOT, env=given, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == os.EX_CONFIG
    assert said in done.stderr
    assert not ENGLISH.search(done.stderr), done.stderr


@pytest.mark.parametrize(
    ("variables", "language"),
    [
        ({"LANGUAGE_CODE": "pt-br"}, "pt_BR"),
        ({"LANGUAGE_CODE": "PT-BR", "ENV_FILE": "/dev/null"}, "pt_BR"),
        ({"ENV_FILE": "FILE"}, "pt_BR"),
        ({"LANGUAGE_CODE": "en", "ENV_FILE": "FILE"}, "en"),
        ({"ENV_FILE": "/dev/null"}, ""),
    ],
)
def test_what_is_said_without_django_is_in_the_site_s_language(
    variables: dict[str, str], language: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "env").write_text("DEBUG=true\nLANGUAGE_CODE = 'pt-br'\n")
    monkeypatch.delenv("LANGUAGE_CODE", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, str(tmp_path / "env") if value == "FILE" else value)
    assert site_language.language() == language
    expected = "Ctrl-C encerra." if language == "pt_BR" else "Ctrl-C ends it."
    assert site_language.gettext("Ctrl-C ends it.") == expected


def test_site_s_language_is_a_variable_and_its_catalogue_is_found() -> None:
    code = (
        "from django.conf import settings; import django; django.setup(); from django.utils.translation import gettext"
    )
    code += "; print(settings.LANGUAGE_CODE, gettext('Sign in').encode().decode('ascii'))"
    given = {"DEBUG": "true", "LANGUAGE_CODE": "pt-br", "ENV_FILE": os.devnull, "PATH": os.environ["PATH"]}
    given["DJANGO_SETTINGS_MODULE"] = "config.settings.site"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=given, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "pt-br Entrar\n", done.stderr


def test_api_is_explained_in_portuguese_to_people_and_in_english_to_programs(brazilian: Client) -> None:
    assert "Onde a pessoa trabalha." in brazilian.get("/api/docs/").content.decode()
    assert "Where the person works." in brazilian.get("/api/openapi.json").content.decode()


#: What is raised or shown with a text for people: the text is translated where it is made.
FOR_PEOPLE = {
    "CommandError",
    "ValidationError",
    "CannotStart",
    "DatabaseAway",
    "Error",
    "Warning",
}


def untranslated(tree: ast.AST) -> Iterator[int]:
    """The lines where such a text stands as it is, without a letter of it being looked up."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and node.args):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        text = node.args[0]
        if name in FOR_PEOPLE and any(
            isinstance(part, ast.Constant) and isinstance(part.value, str) and re.search(r"[a-z]{2} [a-z]", part.value)
            for part in (text, *(text.values if isinstance(text, ast.JoinedStr) else ()))
        ):
            yield node.lineno


def test_texts_for_people_are_marked_for_translation() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for app in APPS
        for path in sorted((ROOT / app).rglob("*.py"))
        for line in untranslated(ast.parse(path.read_text("utf-8")))
    ]
    assert found == []
    assert list(untranslated(ast.parse('raise CommandError(f"no such {thing}, try again")'))) == [1]
