"""The pages on which members work with leads: who sees what, what is done there, and how lists are paged."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.http import Http404
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Membership, Organization, Role, User
from admin_lists import pages as admin_pages
from jobs import jobs_about
from jobs.testing import JobsRunner
from leads.acting import act, form_of
from leads.models import Channel, Lead, LeadStatus, Note
from leads.pages import choosing
from leads.panels import registry
from leads.services import add_lead, erase_lead, receive
from leads.tasks import enrich_lead_data

from .people import make_lead, make_member, make_organization, make_user

pytestmark = pytest.mark.django_db
LIST, BOARD = reverse("leads:list"), reverse("leads:board")


@pytest.fixture
def acme() -> Organization:
    return make_organization("acme", country="BR")


@pytest.fixture
def umbrella() -> Organization:
    return make_organization("umbrella")


def signed_in(user: Any, **options: Any) -> Client:
    client = Client(**options)
    client.force_login(User.objects.get(pk=user.pk))
    return client


def do(lead: Lead, name: str) -> str:
    return reverse("leads:act", args=[lead.pk, name])


def text_of(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200, address
    return str(response.content.decode())


@pytest.mark.parametrize("role", [Role.AGENT, Role.MANAGER, Role.OWNER])
def test_a_member_works_with_the_leads_of_the_own_organization_and_finds_no_others(
    role: Role, acme: Organization, umbrella: Organization
) -> None:
    own = make_lead(acme, name="Ada Lovelace")
    other = make_lead(umbrella, name="Grace Hopper")
    client = signed_in(make_member(acme, "mia", role))
    for address in (f"{LIST}?show=all", f"{LIST}?show=unassigned", f"{BOARD}?show=all", f"{LIST}?show=all&q=a"):
        page = text_of(client, address)
        assert "Ada Lovelace" in page, address
        assert "Grace Hopper" not in page, address
    assert "Grace" not in text_of(client, f"{LIST}?show=all&q=grace")
    assert "Ada Lovelace" in text_of(client, own.get_absolute_url())
    assert "policy" not in client.get(LIST).headers
    assert "default-src 'self'" in client.get(LIST)["Content-Security-Policy"]
    assert client.get(other.get_absolute_url()).status_code == 404
    for name in ("assign", "status", "note", "sync", "sms", "erase"):
        assert client.get(do(other, name)).status_code == 404, name
        assert client.post(do(other, name), {"status": "won", "text": "x"}).status_code == 404, name
    assert client.get(do(own, "erase")).status_code == (403 if role == Role.AGENT else 200)
    assert (do(own, "erase") in text_of(client, own.get_absolute_url())) == (role != Role.AGENT)
    other.refresh_from_db()
    assert (other.status, Note.objects.count(), LogEntry.objects.count()) == ("new", 0, 0)


def test_a_stranger_finds_nothing_and_a_visitor_signs_in_first(acme: Organization) -> None:
    lead = make_lead(acme)
    stranger = signed_in(make_user("stranger"))
    for address in (LIST, BOARD, lead.get_absolute_url(), do(lead, "note")):
        assert stranger.get(address).status_code == 404, address
        assert Client().get(address)["Location"].startswith(reverse("login")), address
    assert stranger.post(do(lead, "note"), {"text": "x"}).status_code == 404
    assert LIST not in text_of(stranger, reverse("notifications:inbox"))


def test_everybody_begins_where_they_work(acme: Organization) -> None:
    assert signed_in(make_member(acme, "mia")).get(reverse("home"))["Location"] == LIST
    assert signed_in(make_user("max")).get(reverse("home"))["Location"] == reverse("notifications:inbox")
    assert Client().get(reverse("home"))["Location"].startswith(reverse("login"))


def test_each_write_is_a_post_that_announces_its_event_and_is_logged(
    acme: Organization, jobs_runner: JobsRunner
) -> None:
    mia, lead = make_member(acme, "mia"), make_lead(acme, phone="+5511912345678")
    client = signed_in(mia)
    for name in ("assign", "status", "note", "sms"):
        assert client.get(do(lead, name)).status_code == 200
    assert client.get(do(lead, "nonsense")).status_code == 404
    jobs_runner.assert_nothing_enqueued()

    answers = [
        client.post(do(lead, "assign"), {"assignee": str(mia.pk)}),
        client.post(do(lead, "status"), {"status": "contacted", "next": f"{BOARD}?show=all"}),
        client.post(do(lead, "note"), {"text": "Called, will <b>call</b> again.", "next": "https://evil.example/"}),
    ]
    page, board = lead.get_absolute_url(), f"{BOARD}?show=all"
    assert [answer["Location"] for answer in answers] == [page, board, page]
    lead.refresh_from_db()
    assert (lead.assignee, lead.status) == (mia, LeadStatus.CONTACTED)
    assert {job.event for job in jobs_about(lead)} == {"LeadAssigned", "LeadStatusChanged"}
    assert LogEntry.objects.filter(user=mia, object_id=str(lead.pk)).count() == 3
    shown = text_of(client, page)
    assert "Called, will &lt;b&gt;call&lt;/b&gt; again." in shown
    assert "nobody → mia@example.org" in shown
    assert "new → contacted" in shown


def test_what_cannot_be_is_said_in_the_form_and_changes_nothing(acme: Organization, jobs_runner: JobsRunner) -> None:
    lead, stranger = make_lead(acme), make_user("stranger")
    client = signed_in(make_member(acme, "mia"))
    for name, data in (
        ("assign", {"assignee": str(stranger.pk)}),
        ("status", {"status": "nonsense"}),
        ("note", {"text": " "}),
        ("sms", {"text": "Call me"}),
    ):
        answer = client.post(do(lead, name), data)
        assert answer.status_code == 400, name
        assert "errorlist" in answer.content.decode(), name
    assert (
        signed_in(make_member(acme, "max"), enforce_csrf_checks=True).post(do(lead, "note"), {"text": "x"}).status_code
        == 403
    )
    lead.refresh_from_db()
    assert (lead.assignee, lead.status, Note.objects.count(), LogEntry.objects.count()) == (None, "new", 0, 0)
    jobs_runner.assert_nothing_enqueued()


@pytest.mark.parametrize("few", [1, 500])
def test_pages_lead_through_all_leads_of_several_organizations_and_back(
    few: int, acme: Organization, umbrella: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin_pages, "FEW", few)
    monkeypatch.setattr(choosing, "PAGE", 2)
    mia = make_member(acme, "mia")
    Membership.objects.create(organization=umbrella, user=mia)
    names = [f"Lead {number}" for number in range(5)]
    for number, name in enumerate(names):
        lead = make_lead((acme, umbrella)[number % 2], name=name, email=f"{number}@mail.example")
        Lead.objects.filter(pk=lead.pk).update(created_at=timezone.now() - timedelta(hours=number))
    make_lead(make_organization("third"), name="Lead of others")
    client = signed_in(mia)

    def shown(address: str) -> tuple[list[str], dict[str, str]]:
        context = client.get(address).context
        assert str(next(tab.count for tab in context["tabs"] if tab.current)) == "5"
        return [str(row["lead"]) for row in context["rows"]], {name: context[name] for name in ("newer", "older")}

    first, links = shown(f"{LIST}?show=all")
    second, links = shown(links["older"])
    third, last = shown(links["older"])
    assert first + second + third == names
    assert (last["older"], shown(links["newer"])[0]) == ("", first)
    assert client.get(f"{LIST}?before={quote('nonsense')}").status_code == 404


def test_lists_are_narrowed_down_by_what_the_address_says(acme: Organization) -> None:
    mia = make_member(acme, "mia")
    make_lead(acme, name="Ada", email="ada@mail.example", phone="+5511912345678", score=80, status="won")
    make_lead(acme, name="Åsa Öberg", email="asa@mail.example", score=50, source="ads", assignee=mia)
    make_lead(acme, name="Grace", email="", phone="", score=None)
    client = signed_in(mia)

    def names(query: str) -> set[str]:
        return {str(row["lead"]) for row in client.get(f"{LIST}?{query}").context["rows"]}

    assert names("") == {"Åsa Öberg"}
    assert names("show=unassigned") == {"Ada", "Grace"}
    assert (
        names("show=all") == names("show=all&status=nonsense&score=9&organization=x") == {"Ada", "Åsa Öberg", "Grace"}
    )
    assert names("show=all&status=won") == names("show=all&score=high") == {"Ada"}
    assert names("show=all&source=ads") == names("show=all&score=middle&q=asa%40") == {"Åsa Öberg"}
    assert names(f"show=all&q={quote('ÅSA ö')}") == {"Åsa Öberg"}
    for written in ("(11) 91234-5678", "+55 11 91234 5678", "11912345678"):
        assert names(f"show=all&q={quote(written)}") == {"Ada"}, written
    assert names("show=mine&q=ada") == set()
    page = text_of(client, f"{LIST}?show=all&status=won&q=ada")
    assert 'value="ada"' in page
    assert '<option value="won" selected>' in page


def test_leads_are_added_and_edited_where_the_role_allows_it(
    acme: Organization, umbrella: Organization, jobs_runner: JobsRunner
) -> None:
    mia, other = make_member(acme, "mia"), make_lead(umbrella)
    client, new = signed_in(mia), reverse("leads:new")
    assert 'name="organization"' not in text_of(client, new)
    fields = {"name": "Grace", "email": "Grace@Navy.example", "phone": "11 91234-5678", "source": "event"}
    answer = client.post(new, fields)
    lead = Lead.objects.get(organization=acme)
    assert answer["Location"] == lead.get_absolute_url()
    assert (lead.email_key, lead.phone) == ("grace@navy.example", "+5511912345678")
    assert {handle.job.event for handle in jobs_runner.enqueued()} == {"LeadCreated"}
    again = client.post(new, {**fields, "organization": str(umbrella.pk), "phone": "x"})
    assert (again.status_code, set(again.context["form"].errors)) == (400, {"email", "phone"})

    edit = reverse("leads:edit", args=[lead.pk])
    assert client.post(edit, {**fields, "company": "Navy", "status": "won"}).status_code == 302
    lead.refresh_from_db()
    assert (lead.company, lead.status, lead.version) == ("Navy", "new", 2)
    assert [entry.user for entry in LogEntry.objects.all()] == [mia, mia]
    assert client.get(reverse("leads:edit", args=[other.pk])).status_code == 404
    stranger = signed_in(make_user("stranger"))
    assert [stranger.get(address).status_code for address in (new, edit)] == [404, 404]
    Membership.objects.create(organization=umbrella, user=mia)
    assert 'name="organization"' in text_of(signed_in(mia), new)


def test_the_board_has_the_newest_of_each_status_and_moves_them(
    acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    from leads.pages import views

    monkeypatch.setattr(views, "CARDS", 2)
    for number in range(3):
        make_lead(acme, name=f"Lead {number}", email=f"{number}@mail.example", status="qualified")
    client = signed_in(make_member(acme, "mia"))
    columns = {one["status"]: one for one in client.get(f"{BOARD}?show=all").context["columns"]}
    assert list(columns) == list(LeadStatus)
    assert (len(columns["qualified"]["cards"]), str(columns["qualified"]["count"])) == (2, "3")
    assert columns["won"]["cards"] == []
    assert "Lead 0" in text_of(client, columns["qualified"]["more"])
    lead = columns["qualified"]["cards"][0]["lead"]
    client.post(do(lead, "status"), {"status": "won", "next": BOARD})
    columns = {one["status"]: one for one in client.get(f"{BOARD}?show=all").context["columns"]}
    assert [card["lead"] for card in columns["won"]["cards"]] == [lead]


def test_a_lead_s_page_tells_what_was_written_found_scored_and_comes_next(
    acme: Organization, jobs_runner: JobsRunner
) -> None:
    body = "name=Ada&email=ada%40analytical.example&phone=%2B5511912345678&message=Please+call+me+tomorrow&consent=on"
    receive(acme, Channel.FORM, body)
    lead = Lead.objects.get()
    enrich_lead_data.call(lead.pk, acme.pk)
    jobs_runner.run()
    receive(acme, Channel.FORM, body.replace("tomorrow", "today"))
    client = signed_in(make_member(acme, "mia"))
    page = text_of(client, lead.get_absolute_url())
    for part in (
        *("Please call me tomorrow", "Please call me today", 'href="tel:+5511912345678"'),
        *('href="mailto:ada@analytical.example"', "Writes from a company", "local: mail domain"),
        *("This lead is unassigned", "Take it", "May be written to about the request"),
        "The score is calculated again",
    ):
        assert part in page, part
    jobs_runner.run()
    follow_up = "Follow-up email, unless someone gets in touch first"
    assert follow_up in text_of(client, lead.get_absolute_url())
    client.post(do(lead, "note"), {"text": "Called."})
    assert follow_up not in text_of(client, lead.get_absolute_url())


def test_nothing_can_be_done_with_an_erased_lead_but_to_erase_it_again(acme: Organization) -> None:
    lead = add_lead(Lead(organization=acme, name="Ada", email="ada@analytical.example"))
    erase_lead(lead.pk, actor=None)
    client = signed_in(make_member(acme, "mia", Role.OWNER))
    assert "was erased" in text_of(client, lead.get_absolute_url())
    assert client.post(do(lead, "note"), {"text": "x"}).status_code == 404
    assert client.get(do(lead, "erase")).status_code == 200
    assert client.get(f"{LIST}?show=all").context["rows"] == []


def test_an_empty_list_says_what_will_appear_and_how(acme: Organization) -> None:
    client = signed_in(make_member(acme, "mia"))
    assert reverse("leads:form", args=["acme"]) in text_of(client, f"{LIST}?show=all")
    assert "assigned to you appear here" in text_of(client, LIST)
    make_lead(acme)
    assert "1 lead is unassigned" in text_of(client, LIST)
    assert "No matching leads" in text_of(client, f"{LIST}?q=nobody")


@pytest.mark.parametrize("name", ["assign", "status", "note"])
def test_what_is_done_with_a_lead_that_was_erased_meanwhile_finds_none(name: str, acme: Organization) -> None:
    mia, lead = make_member(acme, "mia"), make_lead(acme)
    read_before = Lead.objects.select_related("organization").get(pk=lead.pk)
    erase_lead(lead.pk)
    action = registry.actions[name]
    form = form_of(action, read_before)({"assignee": str(mia.pk), "status": "won", "text": "x"})
    with pytest.raises(Http404):
        act(action, read_before, mia, form)
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("page", ["leads:edit", "admin:leads_lead_change"])
def test_what_is_written_into_a_lead_that_is_erased_at_that_moment_finds_none(page: str, acme: Organization) -> None:
    mia, lead = make_member(acme, "mia", Role.OWNER), make_lead(acme, name="Ada")
    client, address = signed_in(mia), reverse(page, args=[lead.pk])
    fields = {"name": "Ada Lovelace", "email": lead.email, "source": lead.source}

    def erase_first(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith('SELECT "leads_lead"."version"'):  # the last look before the lead is written
            Lead.objects.filter(pk=lead.pk).update(erased_at=timezone.now())
        return execute(sql, *rest)

    with connection.execute_wrapper(erase_first):
        assert client.post(address, fields).status_code == 404
    assert (Lead.objects.get(pk=lead.pk).name, LogEntry.objects.count()) == ("Ada", 0)
    assert client.post(address, fields).status_code == 302
