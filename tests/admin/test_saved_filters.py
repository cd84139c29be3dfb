"""Saved filters of the job list: the own ones, those shared with everybody, and the one that is shown first."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from jobs.models import SavedFilter
from jobs.operate import saved_filters
from tests.leads.people import make_organization

from .conftest import LIST, MakeClient

FILTERS = f"{LIST}filters/"


def save(client: Client, name: str, query: str = "q=state%3Afailed", **more: str) -> Any:
    return client.post(f"{FILTERS}save/", {"name": name, "filter": query, **more}, follow=True)


def change(client: Client, row: SavedFilter, **given: str) -> Any:
    return client.post(f"{FILTERS}change/", {"id": str(row.pk), "name": row.name, **given}, follow=True)


def names(client: Client) -> list[str]:
    return [line["name"] for line in client.get(LIST, {"q": ""}).context["saved"]["lines"]]


def test_a_filter_is_saved_shown_opened_renamed_and_deleted(viewer: Client) -> None:
    page = viewer.get(f"{LIST}?q=state:failed&queue=email&before=00000000-0000-0000-0000-000000000007").content.decode()
    assert 'name="filter" value="q=state%3Afailed&amp;queue=email"' in page
    saved = save(viewer, " Dead   mails ", "q=state%3Afailed&queue=email&before=7")
    assert saved.redirect_chain == [(f"{LIST}?q=state%3Afailed&queue=email", 302)]
    assert [(line["name"], line["open"]) for line in saved.context["saved"]["lines"]] == [("Dead mails", True)]
    row = SavedFilter.objects.get()
    assert f'href="{LIST}?q=state%3Afailed&amp;queue=email" aria-current="page"' in saved.content.decode()
    change(viewer, row, name="Mails that died")
    assert names(viewer) == ["Mails that died"]
    viewer.post(f"{FILTERS}delete/", {"id": str(row.pk)})
    assert names(viewer) == []
    assert not LogEntry.objects.exists()


def test_the_default_is_what_the_list_shows_first_and_all_jobs_are_a_click_away(
    viewer: Client, client_with: MakeClient
) -> None:
    for name in ("one", "two"):
        save(viewer, name, f"q={name}")
    one, two = SavedFilter.objects.order_by("name")
    change(viewer, one, is_default="1")
    assert viewer.get(LIST).headers["Location"] == "?q=one"
    change(viewer, two, is_default="1")
    assert viewer.get(LIST).headers["Location"] == "?q=two"
    assert viewer.get(f"{LIST}?q=").status_code == 200
    assert viewer.get(f"{LIST}?state=failed").status_code == 200
    assert client_with("view_job", "retry_job").get(LIST).status_code == 200, "it is nobody else's"
    change(viewer, two)
    assert viewer.get(LIST).status_code == 200


def test_only_who_sees_all_jobs_and_may_share_shares(client_with: MakeClient, viewer: Client) -> None:
    boss = client_with("view_job", "share_filter")
    assert "may not share" in save(viewer, "mine", shared="1").content.decode()
    assert not SavedFilter.objects.exists()
    save(boss, "ours", shared="1")
    save(boss, "bosss own")
    assert names(viewer) == ["ours"]
    ours = SavedFilter.objects.get(name="ours")
    assert [entry.get_change_message() for entry in LogEntry.objects.all()] == ["Shared: q=state%3Afailed"]
    for answer in (change(viewer, ours, shared="1"), viewer.post(f"{FILTERS}delete/", {"id": ours.pk}, follow=True)):
        assert "is not yours" in answer.content.decode()
    member = client_with("view_job", "share_filter", member_of=make_organization("acme"))
    assert "may not share" in save(member, "theirs", shared="1").content.decode()
    other = client_with("view_job", "share_filter", "cancel_job")
    assert other.post(f"{FILTERS}delete/", {"id": ours.pk}).status_code == 302
    assert names(viewer) == []
    assert LogEntry.objects.count() == 2


def test_a_member_sees_no_filter_of_who_sees_every_organization(client_with: MakeClient) -> None:
    save(client_with("view_job", "share_filter"), "Trouble at Other Ltd", "q=scope%3Aother", shared="1")
    member = client_with("view_job", member_of=make_organization("acme"))
    save(member, "own")
    assert names(member) == ["own"]
    for page in (member.get(f"{LIST}?q="), member.get(FILTERS)):
        assert "Other Ltd" not in page.content.decode()


@pytest.mark.parametrize(
    ("name", "query", "said"),
    [
        ("", "q=x", "1 to 60 characters"),
        ("x" * 61, "q=x", "1 to 60 characters"),
        ("taken", "q=x", "already"),
        ("new", "", "nothing is filtered"),
        ("new", "before=7", "nothing is filtered"),
        ("new", f"q={'x' * 2_100}", "too long"),
        ("new\x00", "q=x", "1 to 60 characters"),
    ],
)
def test_what_cannot_be_saved_is_said(viewer: Client, name: str, query: str, said: str) -> None:
    save(viewer, "taken")
    assert said in save(viewer, name, query).content.decode().lower()
    assert SavedFilter.objects.count() == 1


def test_a_person_has_so_many_and_no_more(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_filters, "MOST", 2)
    for name in ("one", "two", "three"):
        page = save(viewer, name)
    assert "delete one first" in page.content.decode()
    assert SavedFilter.objects.count() == 2


def test_each_write_is_a_post_with_csrf_by_who_may_look(client_with: MakeClient) -> None:
    strict, blind = client_with("view_job", enforce_csrf_checks=True), client_with("cancel_job")
    for name in ("save", "change", "delete"):
        assert strict.get(f"{FILTERS}{name}/").status_code == 405
        assert strict.post(f"{FILTERS}{name}/", {"name": "x", "filter": "q=x"}).status_code == 403
        assert blind.post(f"{FILTERS}{name}/", {"name": "x", "filter": "q=x"}).status_code == 403
    assert blind.get(FILTERS).status_code == 403
    assert not SavedFilter.objects.exists()


def test_hostile_names_and_ids_do_nothing(viewer: Client) -> None:
    save(viewer, "<script>alert(1)</script>", 'q="><script>alert(2)')
    for page in (viewer.get(f"{LIST}?q="), viewer.get(FILTERS)):
        assert "<script>alert" not in page.content.decode()
    for id in ("", "x", "-1", "9" * 30, "0"):
        assert viewer.post(f"{FILTERS}delete/", {"id": id}).status_code == 302
    assert SavedFilter.objects.count() == 1
