"""The pages of imports and of the export: who may do what, each step, and what comes out."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import Organization, Role
from jobs import Batch
from jobs.models import Job
from jobs.testing import JobsRunner
from leads import retention, services
from leads.csv_cells import as_text, unmarked
from leads.imports import running
from leads.models import ImportPiece, ImportState, Lead, LeadImport, packed, unpacked
from leads.tasks import enrich_lead_data, import_leads
from notifications.models import Notification

from .people import make_lead, make_member, make_organization, make_user
from .test_imports import IMPORTS, PLAIN, chosen, counts, imported, page, signed_in, stored

pytestmark = pytest.mark.django_db
EXPORT = reverse("leads:export")
PAGES = ("import", "import_mapping", "import_preview", "import_progress", "import_errors")
WRITES = ("import_mapping", "import_start", "import_cancel", "import_discard")


@pytest.fixture
def acme() -> Organization:
    return make_organization("acme", country="BR")


@pytest.fixture
def manager(acme: Organization) -> Any:
    return make_member(acme, "mia", Role.MANAGER)


def text_of(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, address
    return str(answer.content.decode())


def rows_of(answer: Any, delimiter: str = ",") -> list[list[str]]:
    content = b"".join(answer.streaming_content).decode()
    assert content.startswith("\ufeff")
    return list(csv.reader(io.StringIO(content[1:], newline=""), delimiter=delimiter))


def test_from_the_upload_to_the_end(acme: Organization, manager: Any, jobs_runner: JobsRunner) -> None:
    client = signed_in(manager)
    assert "No imports yet" in text_of(client, IMPORTS)
    content = "Nome;E-mail\r\nAda <b>;ada@x.example\r\nAda;ADA@x.example\r\nBob;nothing\r\n"
    answer = client.post(IMPORTS, {"file": SimpleUploadedFile("C:\\tmp\\<i>.csv", content.encode("cp1252"))})
    lead_import = LeadImport.objects.get()
    assert answer["Location"] == page("import_mapping", lead_import)
    columns = text_of(client, answer["Location"])
    assert "&lt;i&gt;.csv" in columns
    assert "Ada &lt;b&gt; · Ada · Bob" in columns
    data = {"column_0": "name", "column_1": "email", "known": "skip", "source": "event", "notify": "on"}
    answer = client.post(page("import_mapping", lead_import), data)
    assert answer["Location"] == page("import_preview", lead_import)
    preview = text_of(client, answer["Location"])
    assert "Ada &lt;b&gt;" in preview
    assert "The same person as on line 2." in preview
    assert "Email: Enter a valid e-mail address." in preview
    assert "1 of the first 3 rows is wrong" in preview
    assert not Lead.objects.exists()
    jobs_runner.assert_nothing_enqueued()
    answer = client.post(page("import_start", lead_import))
    assert answer["Location"] == page("import", lead_import)
    running_page = text_of(client, answer["Location"])
    assert "Cancel the import" in running_page
    etag = client.get(page("import_progress", lead_import))["ETag"]
    assert etag in running_page.replace("&quot;", '"')
    assert client.get(page("import_progress", lead_import), headers={"If-None-Match": etag}).status_code == 304
    jobs_runner.run()
    assert client.get(page("import_progress", lead_import), headers={"If-None-Match": etag}).status_code == 200
    done = text_of(client, page("import", lead_import))
    assert page("import_progress", lead_import) in running_page
    assert page("import_progress", lead_import) not in done
    assert "Download the wrong rows" in done
    assert Lead.objects.get().source == "event"
    assert Notification.objects.get().action_url == page("import", lead_import)
    assert lead_import.pieces.get().content is None
    words = LogEntry.objects.order_by("action_time").values_list("change_message", flat=True)
    assert list(words) == ["uploaded", "started"]
    assert "mia" in text_of(client, IMPORTS)


def test_who_may_import_where(acme: Organization, manager: Any, jobs_runner: JobsRunner) -> None:
    lead_import = chosen(stored(acme, manager, PLAIN))
    other = signed_in(make_member(make_organization("umbrella"), "eve", Role.OWNER))
    agent, stranger = signed_in(make_member(acme, "tom")), signed_in(make_user("stranger"))
    file = {"file": SimpleUploadedFile("a.csv", PLAIN.encode())}
    for client in (other, agent, stranger):
        for name in PAGES:
            assert client.get(page(name, lead_import)).status_code == 404, name
        for name in WRITES:
            assert client.post(page(name, lead_import)).status_code == 404, name
    assert [client.get(IMPORTS).status_code for client in (other, agent, stranger)] == [200, 404, 404]
    assert [client.post(IMPORTS, file).status_code for client in (agent, stranger)] == [404, 404]
    assert "leads.csv" not in text_of(other, IMPORTS)
    assert Client().get(IMPORTS)["Location"].startswith(reverse("login"))
    assert IMPORTS not in text_of(agent, reverse("leads:list"))
    assert EXPORT not in text_of(agent, reverse("leads:list"))
    assert IMPORTS in text_of(signed_in(manager), reverse("leads:list"))
    lead_import.refresh_from_db()
    assert lead_import.state == ImportState.DRAFT
    jobs_runner.assert_nothing_enqueued()


@pytest.mark.usefixtures("no_roles")
def test_who_may_only_look_changes_nothing(acme: Organization, manager: Any) -> None:
    from django.contrib.auth.models import Permission

    lead_import = chosen(stored(acme, manager, PLAIN))
    viewer = make_member(acme, "vera")
    viewer.user_permissions.set(Permission.objects.filter(codename__in=["view_leadimport", "view_lead"]))
    client = signed_in(viewer)
    assert client.get(IMPORTS).status_code == 200
    assert client.post(IMPORTS, {"file": SimpleUploadedFile("a.csv", b"x")}).status_code == 403
    for name in WRITES:
        assert client.post(page(name, lead_import)).status_code == 403, name
    assert client.get(EXPORT).status_code == 403
    assert client.post(EXPORT, {"columns": ["name"], "delimiter": ","}).status_code == 403
    assert LeadImport.objects.get().state == ImportState.DRAFT


def test_nobody_is_given_leads_who_is_no_member_or_by_who_may_not(acme: Organization, manager: Any) -> None:
    outsider = make_member(make_organization("umbrella"), "eve")
    lead_import = stored(acme, manager, PLAIN)
    data = {"column_0": "name", "column_1": "email", "known": "skip", "source": "import"}
    answer = signed_in(manager).post(page("import_mapping", lead_import), {**data, "assignee": str(outsider.pk)})
    assert answer.status_code == 400
    lead_import.refresh_from_db()
    assert lead_import.assignee is None


def test_a_second_click_does_not_start_twice_and_a_started_file_is_not_changed(
    acme: Organization, manager: Any, jobs_runner: JobsRunner
) -> None:
    lead_import = chosen(stored(acme, manager, PLAIN))
    client = signed_in(manager)
    for _click in range(3):
        assert client.post(page("import_start", lead_import))["Location"] == page("import", lead_import)
    assert Job.objects.filter(task=import_leads.name).count() == 1
    assert client.post(page("import_discard", lead_import))["Location"] == IMPORTS
    assert client.post(page("import_mapping", lead_import))["Location"] == page("import", lead_import)
    jobs_runner.run()
    assert client.post(page("import_start", lead_import)).status_code == 302
    assert client.post(page("import_cancel", lead_import)).status_code == 302
    lead_import.refresh_from_db()
    assert (lead_import.state, Lead.objects.count()) == (ImportState.DONE, 1)


def test_a_piece_that_runs_again_changes_nothing(acme: Organization, manager: Any, jobs_runner: JobsRunner) -> None:
    done = imported(acme, manager, PLAIN, jobs_runner)
    piece = done.pieces.get()
    assert import_leads.call(piece.pk, acme.pk) == {"outcome": "done already"}
    assert running.finish(done.pk, done.organization_id) == {"outcome": "ended already"}
    assert (Lead.objects.count(), counts(done)) == (1, (1, 0, 0, 0))


def test_what_is_done_stays_when_it_is_cancelled_and_is_told(
    acme: Organization, manager: Any, jobs_runner: JobsRunner
) -> None:
    content = "Name,Email\r\n" + "".join(f"Lead {one},l{one}@x.example\r\n" for one in range(1_700))
    lead_import = chosen(stored(acme, manager, content))
    services.start_import(lead_import.pk, actor=manager)
    assert lead_import.pieces.count() == 4
    first = lead_import.pieces.order_by("number")[0]
    import_leads.call(first.pk, acme.pk)
    client = signed_in(manager)
    assert "500" in text_of(client, page("import_progress", lead_import))
    assert client.post(page("import_cancel", lead_import)).status_code == 302
    assert import_leads.call(lead_import.pieces.get(number=1).pk, acme.pk)["outcome"] == "cancelled"
    jobs_runner.run()
    lead_import.refresh_from_db()
    assert (lead_import.state, counts(lead_import), Lead.objects.count()) == ("cancelled", (500, 0, 0, 0), 500)
    assert not lead_import.pieces.filter(content__isnull=False).exists()
    assert lead_import.batch_id is not None
    assert Batch.get(lead_import.batch_id).cancelled
    assert "1,200 rows were left out" in text_of(client, page("import", lead_import))
    assert "cancelled" in Notification.objects.get().title
    assert LogEntry.objects.filter(change_message="cancelled", user=manager).count() == 1


def test_a_file_with_the_same_columns_is_read_as_the_last_time(
    acme: Organization, manager: Any, jobs_runner: JobsRunner
) -> None:
    content = "Who,Where,Extra\r\nAda,ada@x.example,1\r\n"
    first = stored(acme, manager, content)
    assert first.mapping == ["", "", ""]
    chosen(first, ["name", "email", ""], known="fill", source="event")
    services.start_import(first.pk, actor=manager)
    again = stored(acme, manager, content)
    assert (again.mapping, again.known, again.source) == (["name", "email", ""], "fill", "event")
    umbrella = make_organization("umbrella")
    assert stored(umbrella, make_member(umbrella, "eve", Role.OWNER), content).mapping == ["", "", ""]
    assert stored(acme, manager, content.replace("Extra", "More")).mapping == ["", "", ""]


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        (["name", "name"], "is chosen for two columns"),
        (["name", ""], "holds the email address or the phone number"),
        (["", "email"], "holds the name"),
        (["first_name", "password"], "Select a valid choice"),
    ],
)
def test_columns_that_make_no_lead_are_refused(columns: list[str], says: str, acme: Organization, manager: Any) -> None:
    lead_import = stored(acme, manager, "A,B\r\n1,2\r\n")
    data = {f"column_{at}": name for at, name in enumerate(columns)}
    answer = signed_in(manager).post(page("import_mapping", lead_import), {**data, "known": "skip", "source": "import"})
    assert answer.status_code == 400
    assert says in answer.content.decode()


def test_a_file_whose_columns_were_not_chosen_or_whose_upload_broke_off_is_not_started(
    acme: Organization, manager: Any, jobs_runner: JobsRunner
) -> None:
    unknown, broken = stored(acme, manager, "A,B\r\n1,2\r\n"), stored(acme, manager, PLAIN)
    LeadImport.objects.filter(pk=broken.pk).update(rows=0)
    client = signed_in(manager)
    for lead_import, says in ((unknown, "Choose the column that holds the name"), (broken, "was broken off")):
        answer = client.post(page("import_start", lead_import), follow=True)
        assert answer.redirect_chain == [(page("import_mapping", lead_import), 302)]
        assert says in answer.content.decode()
    jobs_runner.assert_nothing_enqueued()


def test_new_leads_are_enriched_only_where_that_is_chosen_and_behind_all_else(
    acme: Organization, manager: Any, jobs_runner: JobsRunner
) -> None:
    done = imported(acme, manager, PLAIN, jobs_runner)
    assert not Job.objects.filter(task=enrich_lead_data.name).exists()
    Lead.objects.all().delete()
    again = chosen(stored(acme, manager, PLAIN), enrich=True)
    services.start_import(again.pk, actor=manager)
    import_leads.call(again.pieces.get().pk, acme.pk)
    job = Job.objects.get(task=enrich_lead_data.name)
    assert (job.about_id, job.priority) == (str(Lead.objects.get().pk), 10)
    jobs_runner.run("lead", include_scheduled=True)
    assert Lead.objects.get().enrichment
    assert done.state == ImportState.DONE


def test_the_pages_of_an_import_do_not_read_its_rows(acme: Organization, manager: Any) -> None:
    lead_import = chosen(stored(acme, manager, PLAIN))
    services.start_import(lead_import.pk, actor=manager)
    client = signed_in(manager)
    with CaptureQueriesContext(connection) as queries:
        for address in (IMPORTS, page("import", lead_import), page("import_progress", lead_import)):
            assert client.get(address).status_code == 200
    said = [query["sql"] for query in queries if "leads_importpiece" in query["sql"]]
    assert said
    assert not [sql for sql in said if "content" in sql or "wrong_rows" in sql]
    assert len(queries) < 60


def test_wrong_rows_come_back_as_they_were_with_formulas_disarmed(
    acme: Organization, manager: Any, jobs_runner: JobsRunner
) -> None:
    content = 'Name;Email;=1+1\r\n"=cmd|x";bad;"two\nlines"\r\nAda;ada@x.example;\r\n'
    lead_import = chosen(stored(acme, manager, content, "=my.csv"), ["name", "email", ""])
    services.start_import(lead_import.pk, actor=manager)
    jobs_runner.run()
    answer = signed_in(manager).get(page("import_errors", lead_import))
    assert "attachment" in answer["Content-Disposition"]
    assert rows_of(answer, ";") == [
        ["Line", "What is wrong", "Name", "Email", "'=1+1"],
        ["2", "Email: Enter a valid e-mail address.", "'=cmd|x", "bad", "two\nlines"],
    ]


@pytest.mark.parametrize(
    "text", ["=1", "+55", "-1", "@x", "\tx", "\rx", "'=1", "''=1", "＝1", "＠x", "'quoted'", "plain", ""]
)
def test_a_formula_is_text_outside_and_itself_again_inside(text: str) -> None:
    assert not re.match(r"[=+\-@\t\r＝＋－＠]", as_text(text))
    assert unmarked(as_text(text)) == text


def test_an_erased_person_is_gone_from_the_files_too(acme: Organization, manager: Any, jobs_runner: JobsRunner) -> None:
    ada = make_lead(acme, email="ada@x.example", phone="+5511912345678", name="Ada Lovelace")
    content = (
        "Name,Email,Phone\r\nAda Lovelace,ADA@x.example,\r\nGrace,g@x.example,\r\n"
        "Ada,,011 91234-5678 or 99\r\nada lovelace,,\r\nAda Lovelace,other@x.example,\r\n"
    )
    waiting = chosen(stored(acme, manager, content, "Ada Lovelace.csv"))
    ended = imported(acme, manager, "Name,Email\r\nBob,bad\r\nAda Lovelace,ada@x.example bad\r\n", jobs_runner)
    elsewhere = make_organization("umbrella")
    others = stored(elsewhere, make_member(elsewhere, "eve", Role.OWNER), content)
    services.erase_lead(ada.pk)
    left = [cells[0] for _line, cells in unpacked(waiting.pieces.get().content)]
    assert left == ["Grace", "Ada Lovelace"]
    assert [cells[0] for _line, cells, _texts in unpacked(ended.pieces.get().wrong_rows)] == ["Bob"]
    assert len(unpacked(others.pieces.get().content)) == 5
    waiting.refresh_from_db()
    assert waiting.file_name == "erased"
    services.start_import(waiting.pk, actor=manager)
    jobs_runner.run()
    waiting.refresh_from_db()
    assert (waiting.state, counts(waiting)) == (ImportState.DONE, (2, 0, 3, 0))
    assert not Lead.objects.filter(email_key="ada@x.example").exists()


def test_rows_are_forgotten_in_time(settings: Any, acme: Organization, manager: Any, jobs_runner: JobsRunner) -> None:
    settings.IMPORT_KEEP_DAYS = 30
    draft, fresh = stored(acme, manager, PLAIN), stored(acme, manager, PLAIN)
    old = imported(acme, manager, PLAIN + "Bob,bad,\r\n", jobs_runner)
    young = imported(acme, manager, PLAIN + "Bob,bad,\r\n", jobs_runner)
    LeadImport.objects.filter(pk=draft.pk).update(created_at=timezone.now() - timedelta(hours=25))
    LeadImport.objects.filter(pk=old.pk).update(ended_at=timezone.now() - timedelta(days=31))
    assert retention.forget_imports(range(9)) == {"drafts": 1, "emptied": 1}
    assert set(LeadImport.objects.all()) == {fresh, old, young}
    assert set(ImportPiece.objects.values_list("lead_import", flat=True)) == {fresh.pk, young.pk}
    old.refresh_from_db()
    assert counts(old) == (1, 0, 0, 1)
    client = signed_in(manager)
    assert client.get(page("import_errors", old)).status_code == 404
    assert client.get(page("import_errors", young)).status_code == 200
    assert text_of(client, page("import", old))


def test_an_import_that_stopped_early_goes_on_with_the_rest(
    acme: Organization, manager: Any, jobs_runner: JobsRunner
) -> None:
    content = "Name,Email\r\n" + "".join(f"Lead {one},l{one}@x.example\r\n" for one in range(700))
    lead_import = chosen(stored(acme, manager, content))
    first = lead_import.pieces.order_by("number")[0]
    good = first.content
    ImportPiece.objects.filter(pk=first.pk).update(content="damaged")
    services.start_import(lead_import.pk, actor=manager)
    jobs_runner.run(include_scheduled=True)
    lead_import.refresh_from_db()
    assert (lead_import.state, counts(lead_import)) == (ImportState.FAILED, (200, 0, 0, 0))
    client = signed_in(manager)
    assert "500 rows could not be worked" in text_of(client, page("import", lead_import))
    assert "stopped early" in Notification.objects.get().title
    ImportPiece.objects.filter(pk=first.pk).update(content=good)
    client.post(page("import_start", lead_import))
    jobs_runner.run(include_scheduled=True)
    lead_import.refresh_from_db()
    assert (lead_import.state, counts(lead_import)) == (ImportState.DONE, (700, 0, 0, 0))
    assert Lead.objects.count() == 700


def test_the_list_as_it_is_narrowed_down_goes_out_and_comes_in_again(
    acme: Organization, manager: Any, jobs_runner: JobsRunner
) -> None:
    make_lead(
        acme,
        name='=HYPERLINK("x")',
        phone="+5511912345678",
        company='Ação; "Sons"',
        message="two\nlines",
        status="qualified",
        source="event",
        value="1234.50",
        currency="BRL",
        assignee=manager,
    )
    make_lead(acme, name="New one", email="new@x.example")
    make_lead(acme, name="Erased", email="gone@x.example", status="qualified", erased_at=timezone.now())
    make_lead(make_organization("umbrella"), name="Not ours", status="qualified")
    client = signed_in(manager)
    address = f"{EXPORT}?show=all&status=qualified"
    assert "1 lead from the list" in text_of(client, address)
    columns = ["name", "email", "phone", "company", "status", "source", "value", "currency", "assignee", "message"]
    answer = client.post(address, {"columns": columns, "delimiter": ";", "bom": "on"})
    content = b"".join(answer.streaming_content)
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), delimiter=";"))
    assert [row[0] for row in rows] == ["Name", '\'=HYPERLINK("x")']
    assert rows[1][2] == "'+5511912345678"
    entry = LogEntry.objects.get()
    assert entry.user == manager
    assert "status=qualified; columns: name, email" in entry.change_message

    back = make_organization("copy", country="BR")
    mia = make_member(back, "copy", Role.OWNER)
    mia.email = manager.email  # the copy's member is known by the same address
    lead_import = stored(back, mia, content)
    assert lead_import.mapping == columns
    chosen(lead_import, [name if name != "assignee" else "" for name in columns])
    services.start_import(lead_import.pk, actor=mia)
    jobs_runner.run("lead")
    same = ["name", "email", "phone", "company", "status", "source", "value", "currency", "message"]
    (copied,) = Lead.objects.filter(organization=back).values_list(*same)
    (original,) = Lead.objects.filter(organization=acme, status="qualified", erased_at=None).values_list(*same)
    assert copied == original


def test_an_export_reads_page_by_page_with_few_queries(acme: Organization, manager: Any) -> None:
    Lead.objects.bulk_create(
        Lead(organization=acme, name=f"Lead {one}", email=f"l{one}@x.example", email_key=f"l{one}@x.example")
        for one in range(1_300)
    )
    client = signed_in(manager)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        answer = client.post(f"{EXPORT}?show=all", {"columns": ["name", "assignee"], "delimiter": ",", "bom": "on"})
        rows = rows_of(answer)
    assert len(rows) == 1_301
    assert len({row[0] for row in rows}) == 1_301
    assert len(queries) < 30
    assert client.post(f"{EXPORT}?show=all", {"delimiter": ","}).status_code == 400
    assert client.post(f"{EXPORT}?show=all", {"columns": ["password"], "delimiter": ","}).status_code == 400


def test_an_export_goes_out_page_by_page_under_asgi_too(acme: Organization, manager: Any) -> None:
    from asgiref.sync import async_to_sync
    from django.test import AsyncClient

    make_lead(acme, name="Ada")

    async def taken() -> bytes:
        client = AsyncClient()
        await client.aforce_login(manager)
        answer = await client.post(f"{EXPORT}?show=all", {"columns": ["name"], "delimiter": ",", "bom": "on"})
        assert answer.is_async
        return b"".join([part async for part in answer.streaming_content])

    assert async_to_sync(taken)().decode() == "\ufeffName\r\nAda\r\n"


def test_a_damaged_piece_is_no_reason_to_hide_the_page(acme: Organization, manager: Any) -> None:
    lead_import = stored(acme, manager, PLAIN)
    lead_import.pieces.update(content=packed([]))
    assert text_of(signed_in(manager), page("import_mapping", lead_import))
