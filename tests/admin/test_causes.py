"""The page of dead letters by cause: who sees what, what a button asks and does, and that hostile errors stay text."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from accounts.models import Organization
from jobs.models import Job
from tests.dead.conftest import dead

from .conftest import MakeClient

PAGE = "/admin/jobs/cause/"
CAUSE = "c" * 16
ACTS = {"retry": ("retry_job", "pending"), "discard": ("discard_job", "cancelled")}


@pytest.mark.parametrize("path", ["", f"{CAUSE}/retry/", f"{CAUSE}/discard/", f"{CAUSE}/change/"])
def test_nobody_without_the_permission_sees_a_page_of_it(client_with: MakeClient, path: str) -> None:
    dead(1)
    assert Client().get(PAGE + path).status_code == 302
    assert client_with("pause_queue").get(PAGE + path).status_code == 403
    assert client_with("pause_queue", "retry_job", "discard_job").post(PAGE + path).status_code == 403


@pytest.mark.parametrize("name", ACTS)
def test_a_viewer_sees_the_list_and_may_do_nothing(viewer: Client, name: str) -> None:
    dead(3)
    shown = viewer.get(PAGE).content.decode()
    assert "dead.fail" in shown
    assert f"{CAUSE}/{name}/" not in shown
    assert viewer.get(f"{PAGE}{CAUSE}/{name}/").status_code == 403
    assert viewer.post(f"{PAGE}{CAUSE}/{name}/").status_code == 403
    assert set(Job.objects.values_list("state", flat=True)) == {"failed"}


@pytest.mark.parametrize("name", ACTS)
def test_an_operator_is_asked_and_then_it_is_done_and_noted(client_with: MakeClient, name: str) -> None:
    permission, state = ACTS[name]
    client = client_with("view_job", permission)
    dead(3)
    address = f"{PAGE}{CAUSE}/{name}/"
    assert address in client.get(PAGE).content.decode()
    assert client.get(address).status_code == 200
    assert set(Job.objects.values_list("state", flat=True)) == {"failed"}
    assert client.post(address, {"pace": "10"}).status_code == 302
    assert set(Job.objects.values_list("state", flat=True)) == {state}
    assert LogEntry.objects.filter(content_type__model="cause", object_id=CAUSE).count() == 1


def test_a_form_of_another_site_does_nothing(client_with: MakeClient) -> None:
    dead(1)
    client = client_with("view_job", "discard_job", enforce_csrf_checks=True)
    assert client.post(f"{PAGE}{CAUSE}/discard/").status_code == 403
    assert Job.objects.get().state == "failed"


def test_a_member_sees_and_discards_its_organizations_only(client_with: MakeClient, no_roles: None) -> None:
    mine = Organization.objects.create(name="Acme", slug="acme")
    dead(2, scope=str(mine.pk))
    dead(5, scope="somebody-else", error="Strange: not for you")
    dead(1, scope="somebody-else", cause="d" * 16, task="dead.masked")
    client = client_with("view_job", "discard_job", member_of=mine)
    shown = client.get(PAGE).content.decode()
    assert ">2</a>" in shown
    assert "not for you" not in shown
    assert "dead.masked" not in shown
    assert client.get(f"{PAGE}{'d' * 16}/discard/").status_code == 404
    client.post(f"{PAGE}{CAUSE}/discard/")
    assert set(Job.objects.filter(state="cancelled").values_list("scope", flat=True)) == {str(mine.pk)}
    assert Job.objects.filter(state="failed").count() == 6


def test_hostile_errors_stay_text_and_a_million_letters_do_not_fill_the_page(client_with: MakeClient) -> None:
    client = client_with("view_job", "retry_job")
    dead(2, error='Strange: <script>alert(1)</script>" onload="x' + "x" * 1_000_000)
    for path in ("", f"{CAUSE}/retry/"):
        shown = client.get(PAGE + path).content.decode()
        assert "<script>alert(1)" not in shown
        assert "&lt;script&gt;" in shown
    assert len(client.get(PAGE).content) < 100_000


@pytest.mark.parametrize("cause", ["f" * 16, "nonsense", "%00", "<b>"])
def test_a_cause_that_is_not_there_is_no_error(operator: Client, cause: str) -> None:
    assert operator.get(f"{PAGE}{cause}/retry/").status_code in (302, 404)
    assert operator.get(f"/admin/jobs/job/?cause={cause}").status_code == 200


def test_a_line_leads_to_its_dead_letters(viewer: Client) -> None:
    first, _second = dead(2)
    dead(1, cause="d" * 16)
    shown = viewer.get(PAGE).content.decode()
    assert f"/admin/jobs/job/?state=failed&amp;cause={CAUSE}" in shown
    listed = viewer.get(f"/admin/jobs/job/?state=failed&cause={CAUSE}")
    assert len(listed.context["cl"].result_list) == 2
    assert str(first.pk) in listed.content.decode()


def test_without_dead_letters_the_page_says_what_will_appear(viewer: Client) -> None:
    assert "No dead letters" in viewer.get(PAGE).content.decode()
