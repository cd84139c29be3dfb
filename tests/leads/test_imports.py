"""Files of leads: how they are read, what becomes of their rows, and that nobody is flooded."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import timedelta
from time import perf_counter
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core import mail
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Organization, Role, User
from emails.models import EmailMessage
from jobs.models import Job
from jobs.testing import JobsRunner
from leads import services, stale, tasks
from leads.imports.fields import guessed
from leads.imports.reading import UnreadableFile, read_table
from leads.models import (
    Activity,
    ConsentPurpose,
    ConsentRecord,
    ConsentSource,
    CrmDelivery,
    ImportPiece,
    ImportState,
    Lead,
    LeadImport,
    unpacked,
)
from notifications.models import Notification

from .people import make_lead, make_member, make_organization

pytestmark = pytest.mark.django_db
IMPORTS = reverse("leads:imports")
PLAIN = "Name,Email,Phone\r\nAda,ada@analytical.example,+442071838750\r\n"


@pytest.fixture
def acme() -> Organization:
    return make_organization("acme", country="BR")


@pytest.fixture
def manager(acme: Organization) -> Any:
    return make_member(acme, "mia", Role.MANAGER)


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(User.objects.get(pk=user.pk))
    return client


def page(name: str, lead_import: LeadImport) -> str:
    return reverse(f"leads:{name}", args=[lead_import.pk])


def stored(organization: Organization, actor: Any, content: str | bytes, name: str = "leads.csv") -> LeadImport:
    data = content.encode() if isinstance(content, str) else content
    return services.store_import(organization, io.BytesIO(data), name=name, size=len(data), actor=actor)


def imported(
    organization: Organization, actor: Any, content: str | bytes, runner: JobsRunner, **choices: Any
) -> LeadImport:
    """A file that was imported to its end."""
    lead_import = chosen(stored(organization, actor, content), **choices)
    assert services.start_import(lead_import.pk, actor=actor)
    runner.run("lead")
    lead_import.refresh_from_db()
    assert lead_import.state == ImportState.DONE
    return lead_import


def chosen(lead_import: LeadImport, mapping: list[str] | None = None, **choices: Any) -> LeadImport:
    usual = {
        **{"known": "skip", "source": "import", "assignee": None, "consent_evidence": ""},
        **{"notify": True, "enrich": False},
    }
    return services.choose_mapping(lead_import, mapping or lead_import.mapping, {**usual, **choices}, assign=True)


def counts(lead_import: LeadImport) -> tuple[int, int, int, int]:
    return lead_import.created, lead_import.updated, lead_import.skipped, lead_import.wrong


def wrong(lead_import: LeadImport) -> dict[int, list[str]]:
    return {line: texts for one in lead_import.pieces.all() for line, _cells, texts in unpacked(one.wrong_rows)}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_file_is_read_in_whatever_encoding_and_with_whichever_separator(encoding: str, delimiter: str) -> None:
    rows = [
        ["Nome", "E-mail", "Observações"],
        ["João Gonçalves", "joao@exemplo.com.br", f'diz "olá"{delimiter} e\nmais'],
        ["Ana", "ana@exemplo.com.br", ""],
    ]
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows(rows)
    table = read_table(io.BytesIO(text.getvalue().encode(encoding)))
    assert (table.delimiter, table.header) == (delimiter, rows[0])
    assert list(table.rows) == [(2, rows[1]), (4, rows[2])]
    assert guessed(table.header) == ["name", "email", "message"]


def test_excel_says_its_separator_in_the_first_line_and_a_file_may_have_no_header() -> None:
    table = read_table(io.BytesIO(b"sep=;\r\nName;Email\r\nAda, Countess;ada@x.example\r\n"))
    assert (table.delimiter, table.header, list(table.rows)) == (
        ";",
        ["Name", "Email"],
        [(3, ["Ada, Countess", "ada@x.example"])],
    )
    table = read_table(io.BytesIO(b"Ada,ada@x.example\r\nGrace,grace@x.example\r\n"))
    assert table.header == ["Column 1", "Column 2"]
    assert [line for line, _cells in table.rows] == [1, 2]


def _zip() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("xl/sheet.xml", "x")
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "The file is empty."),
        (b"\xef\xbb\xbf\r\n\r\n", "no content"),
        (b" , ,\n", "no content"),
        (b"Name,Email\r\n", "no rows"),
        (_zip(), "Excel (.xlsx)"),
        (bytes(range(32)) * 200, "no text"),
        (b"Name,Email\n" + b"x" * 10_000_000 + b",a@x.example\n", "Line 2: a cell has more than 131,072 characters"),
        (b'Name,Email\nAda,a@x.example\n"Grace,g@x.example\nEve,e@x.example\n', "Line 3: a quote is opened there"),
        (b'Name,Email\n"Joe "J" Doe",a@x.example\n', "Line 2: inside a quoted cell"),
        (b"\xff\xfeN\x00a\x00m\x00e", "encoding was not recognized"),
        (b"\x81\x8d" * 40 + b"\n", "encoding was not recognized"),
        (b",".join(b"c%d" % one for one in range(300)) + b"\nx\n", "300 columns; at most 200"),
    ],
)
def test_a_file_that_is_no_table_is_refused_with_the_remedy_and_nothing_is_kept(
    content: bytes, says: str, acme: Organization, manager: Any
) -> None:
    with pytest.raises(UnreadableFile, match=says.replace("(", r"\(").replace(")", r"\)")):
        stored(acme, manager, content)
    answer = signed_in(manager).post(IMPORTS, {"file": SimpleUploadedFile("leads.csv", content)})
    assert answer.status_code == 400
    assert says in answer.content.decode()
    assert (LeadImport.objects.count(), ImportPiece.objects.count(), LogEntry.objects.count()) == (0, 0, 0)


def test_a_file_above_the_limit_is_refused(settings: Any, manager: Any) -> None:
    settings.IMPORT_MAX_MB = 1
    file = SimpleUploadedFile("leads.csv", b"Name,Email\n" + b"Ada,ada@x.example\n" * 60_000)
    answer = signed_in(manager).post(IMPORTS, {"file": file})
    assert answer.status_code == 400
    assert "at most 1 MB" in answer.content.decode()
    assert not LeadImport.objects.exists()


@pytest.mark.parametrize(
    ("header", "fields"),
    [
        ("First Name,Last Name,E-mail Address,Mobile Phone", "first_name,last_name,email,phone"),
        ("Nome,Sobrenome,Correio eletrônico,Telefone", "first_name,last_name,email,phone"),
        ("Nome completo,WhatsApp,Razão Social,Cargo,Situação,Origem", "name,phone,company,job_title,status,source"),
        ("Full_Name,EMAIL,E-Mail,Favourite colour", "name,email,,"),
        ("Newsletter,Consent,name", ",,name"),
    ],
)
def test_columns_are_guessed_by_their_names_and_consent_never_is(header: str, fields: str) -> None:
    assert guessed(header.split(",")) == fields.split(",")


def test_rows_become_leads_and_each_wrong_one_says_why(
    acme: Organization, manager: Any, jobs_runner: JobsRunner
) -> None:
    content = (
        "Name;Email;Phone;Company;Status;Value;Currency;Notes\r\n"
        "Ada Lovelace;ada@analytical.example;(11) 91234-5678;Analytical;Qualified;1.234,50;R$;first\r\n"
        '"<script>alert(1)</script>";eve@x.example;;=cmd|\'/C calc\'!A0;;;;"two\nlines; and ""quotes"""\r\n'
        ";nobody@x.example;;;;;;\r\n"
        "Bob;not an address;;;;;;\r\n"
        "Carl;;;;;;;\r\n"
        "Dan;dan@x.example;;;on fire;;;\r\n"
        "Nul\x00;nul@x.example;;;;;;\r\n"
        "Long;long@x.example;;;;;;;;;more\r\n"
        "\r\n"
        "Short;short@x.example\r\n"
    )
    done = imported(acme, manager, content, jobs_runner)
    assert counts(done) == (3, 0, 0, 6)
    ada = Lead.objects.get(name="Ada Lovelace")
    assert (ada.phone, ada.status, ada.source, str(ada.value), ada.currency, ada.message) == (
        *("+5511912345678", "qualified", "import"),
        *("1234.50", "BRL", "first"),
    )
    assert (ada.imported_in, ada.score_version, ada.version) == (done, 1, 1)
    assert ada.score == sum(reason["points"] for reason in ada.score_reasons) > 0
    assert (ada.marketing_consent_at, ada.request_consent_at) == (None, None)
    eve = Lead.objects.get(email="eve@x.example")
    assert (eve.name, eve.company, eve.message) == (
        "<script>alert(1)</script>",
        "=cmd|'/C calc'!A0",
        'two\nlines; and "quotes"',
    )
    said = wrong(done)
    assert {line: text[0].partition(":")[0] for line, text in said.items()} == {
        **{5: "Name", 6: "Email", 7: "Email", 8: "Status", 9: "Name"},
        10: "The row has 11 cells, the header has 8.",
    }


def test_nobody_is_flooded(acme: Organization, manager: Any, jobs_runner: JobsRunner) -> None:
    agent = make_member(acme, "tom")
    content = "Name,Email,Phone\r\n" + "".join(f"Lead {one},l{one}@x.example,\r\n" for one in range(1_200))
    done = imported(acme, manager, content, jobs_runner, assignee=agent)
    jobs_runner.run()
    assert counts(done) == (1_200, 0, 0, 0)
    assert Lead.objects.filter(assignee=agent, imported_in=done).count() == 1_200
    assert (mail.outbox, EmailMessage.objects.count(), CrmDelivery.objects.count()) == ([], 0, 0)
    told = {(one.user_id, one.title) for one in Notification.objects.all()}
    assert told == {
        (manager.pk, "The import is done: 1,200 new leads, 0 updated"),
        (agent.pk, "An import assigned leads to you: 1,200"),
    }
    of_leads = Job.objects.exclude(task__in=["leads.import_leads", "leads.finish_import"])
    assert {job.task for job in of_leads} == {"notifications.create_notification"}
    assert {job.priority for job in Job.objects.filter(task="leads.import_leads")} == {10}


def test_leads_of_a_file_that_grow_stale_are_marked_but_not_told_one_by_one(
    acme: Organization, manager: Any, jobs_runner: JobsRunner
) -> None:
    imported(acme, manager, PLAIN, jobs_runner, assignee=manager, notify=False)
    other = make_lead(acme, assignee=manager, email="other@x.example")
    long_ago = timezone.now() - timedelta(days=30)
    Lead.objects.update(touched_at=long_ago, created_at=long_ago)
    assert stale.remind(range(5)) == {"stale": 2}
    jobs_runner.run()
    assert Lead.objects.filter(stale_at__isnull=False).count() == 2
    assert [one.action_url for one in Notification.objects.all()] == [other.get_absolute_url()]


@pytest.mark.parametrize(
    ("known", "expected", "company", "phone", "row_counts"),
    [
        ("skip", "Ada", "", "+5511912345678", (1, 0, 3, 0)),
        ("fill", "Ada", "Analytical", "+5511912345678", (1, 1, 2, 0)),
        ("overwrite", "Ada L.", "Engines", "+442071838750", (1, 2, 1, 0)),
    ],
)
def test_a_known_lead_is_treated_as_chosen_also_the_second_time_in_one_file(
    known: str,
    expected: str,
    company: str,
    phone: str,
    row_counts: tuple[int, int, int, int],
    acme: Organization,
    manager: Any,
    jobs_runner: JobsRunner,
) -> None:
    ada = make_lead(acme, phone="+5511912345678", message="own words", status="contacted", source="form")
    by_phone = make_lead(acme, name="By phone", email="", phone="+5511955555555")
    elsewhere = make_lead(make_organization("umbrella"), email="grace@x.example", name="Not ours")
    content = (
        "Name,Email,Phone,Company,Message\r\n"
        "Ada L.,ADA@analytical.example,+442071838750,Analytical,other words\r\n"
        "Ada L.,ada@analytical.example,,Engines,\r\n"
        "By phone,,(11) 95555-5555,,\r\n"
        "Grace,grace@x.example,,,\r\n"
    )
    done = imported(acme, manager, content, jobs_runner, known=known)
    ada.refresh_from_db()
    assert (ada.name, ada.company, ada.phone) == (expected, company, phone)
    assert (ada.message, ada.email, ada.status, ada.source) == (
        *("own words", "ada@analytical.example"),
        *("contacted", "form"),
    )
    assert counts(done) == row_counts
    by_phone.refresh_from_db()
    elsewhere.refresh_from_db()
    assert (by_phone.version, elsewhere.name, elsewhere.version) == (1, "Not ours", 1)
    assert Lead.objects.filter(organization=acme).count() == 3
    lines = Activity.objects.filter(lead=ada, kind=Activity.Kind.CHANGED)
    assert bool(lines) == (known != "skip")


def test_consent_counts_only_with_how_it_was_given_and_never_against_the_leads_own_word(
    acme: Organization, manager: Any, jobs_runner: JobsRunner
) -> None:
    gone, fickle = make_lead(acme, email="gone@x.example"), make_lead(acme, email="fickle@x.example")
    services.unsubscribe_lead(gone.pk)
    services.record_consent(
        fickle.pk,
        acme.pk,
        [ConsentPurpose.MARKETING],
        source=ConsentSource.STAFF,
        wording="by phone",
        actor=manager,
    )
    services.withdraw_marketing_consent(fickle.pk, acme.pk, actor=manager)
    erased = make_lead(acme, email="erased@x.example")
    services.unsubscribe_lead(erased.pk)
    services.erase_lead(erased.pk)
    content = (
        "Name,Email,News,How,When\r\n"
        "Ada,ada@x.example,yes,Fair in May,2026-05-02\r\n"
        "Bob,bob@x.example,no,,\r\n"
        "Gone,gone@x.example,yes,Fair,2026-05-02\r\n"
        "Fickle,fickle@x.example,sim,Fair,2026-05-02\r\n"
        "Erased,erased@x.example,yes,Fair,2026-05-02\r\n"
        "Vague,vague@x.example,yes,,\r\n"
        "Unsure,unsure@x.example,perhaps,Fair,\r\n"
        "Ahead,ahead@x.example,yes,Fair,2999-01-01\r\n"
    )
    mapping = ["name", "email", "marketing_consent", "consent_wording", "consent_at"]
    jobs_runner.run()
    Notification.objects.all().delete()
    lead_import = chosen(stored(acme, manager, content), mapping, known="overwrite")
    services.start_import(lead_import.pk, actor=manager)
    jobs_runner.run("lead")
    agreed = Lead.present.filter(marketing_consent_at__isnull=False)
    assert [lead.email for lead in agreed] == ["ada@x.example"]
    (line,) = ConsentRecord.objects.filter(lead=agreed[0])
    assert (line.source, line.wording, line.actor, line.new and line.new.date().isoformat()) == (
        *("import", "Fair in May"),
        *(manager, "2026-05-02"),
    )
    assert sorted(wrong(lead_import)) == [7, 8, 9]
    gone.refresh_from_db()
    assert gone.unsubscribed_at is not None


def test_consent_without_evidence_cannot_be_chosen(acme: Organization, manager: Any) -> None:
    lead_import = stored(acme, manager, "Name,Email,News\r\nAda,ada@x.example,yes\r\n")
    client = signed_in(manager)
    data = {"column_0": "name", "column_1": "email", "column_2": "marketing_consent", "known": "skip"}
    answer = client.post(page("import_mapping", lead_import), {**data, "source": "import"})
    assert answer.status_code == 400
    assert "Say how they agreed" in answer.content.decode()
    answer = client.post(page("import_mapping", lead_import), {**data, "source": "import", "consent_evidence": "Fair"})
    assert answer["Location"] == page("import_preview", lead_import)


@pytest.mark.parametrize("cell", ["1" * 100_000 + "x", "+1 " * 30_000 + "x", "1" * 131_000])
def test_a_long_cell_in_the_first_row_costs_no_more_than_its_length(cell: str) -> None:
    began = perf_counter()
    assert read_table(io.BytesIO(f"Name,{cell}\r\nAda,x\r\n".encode())).header[0] == "Name"
    assert perf_counter() - began < 2


@pytest.mark.parametrize("announced", ['"', "\r", "\x00", "a", " ", "=", "é"])
def test_what_separates_no_cells_is_not_taken_for_a_separator(announced: str) -> None:
    table = read_table(io.BytesIO(f"sep={announced}\r\nName,Email\r\nAda,ada@x.example\r\n".encode()))
    assert table.delimiter == ","


def test_a_job_of_one_organization_touches_no_file_of_another(
    acme: Organization, manager: Any, jobs_runner: JobsRunner
) -> None:
    lead_import = chosen(stored(acme, manager, PLAIN))
    assert services.start_import(lead_import.pk, actor=manager)
    other = make_organization("other")
    with pytest.raises(ImportPiece.DoesNotExist):
        tasks.import_leads.call(lead_import.pieces.get().pk, other.pk)
    assert tasks.finish_import.call(lead_import.pk, other.pk) == {"outcome": "ended already"}
    lead_import.refresh_from_db()
    assert lead_import.state == ImportState.RUNNING
    assert not Lead.objects.exists()
    jobs_runner.run("lead")
    assert Lead.objects.get().organization == acme
