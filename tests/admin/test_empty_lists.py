"""Lists of the admin: what an empty one says, numbers under one another, moments from now, states with a shape."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.html import escape

from accounts.models import Organization, User
from admin_lists.keyset_admin import KeysetAdmin
from jobs import clock
from jobs.models import Job
from leads.models import Lead, LeadStatus

pytestmark = pytest.mark.django_db

LISTS = {
    model._meta.label_lower: (model, page)
    for model, page in admin.site._registry.items()
    if isinstance(page, KeysetAdmin)
}
#: There is always somebody who looks.
NEVER_EMPTY = {"accounts.user"}


@pytest.fixture
def staff(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root@example.org", "secret"))
    return client


def address(label: str, which: str = "changelist") -> str:
    return reverse(f"admin:{label.replace('.', '_')}_{which}")


def add_lead(**fields: Any) -> Lead:
    acme, _made = Organization.objects.get_or_create(name="Acme", slug="acme")
    return Lead.objects.create(organization=acme, **{"name": "Ada", **fields})


def cell(page: str, name: str) -> str:
    found = re.search(rf'<t[dh] class="([^"]*\bfield-{name}\b[^"]*)">(.*?)</t[dh]>', page)
    assert found, name
    return found[0]


@pytest.mark.parametrize("label", sorted(set(LISTS) - NEVER_EMPTY))
def test_an_empty_list_says_what_will_stand_there_and_how_it_is_made(label: str, staff: Client) -> None:
    model, page = LISTS[label]
    model._base_manager.all().delete()
    text = str(page.empty_text)
    assert len(text) > 30, f"{label} has no empty_text"
    with translation.override("pt-br"):
        assert str(page.empty_text) != text, f"{label}: its empty_text is English in Portuguese"
    shown = staff.get(address(label)).content.decode()
    assert 'class="empty-state"' in shown
    assert escape(text) in shown
    request = staff.get(address(label)).wsgi_request
    button = re.search(r'<div class="empty-state">.*?<a class="button" href="([^"]*)"', shown, re.DOTALL)
    if page.has_add_permission(request):
        assert button
        assert button[1] == address(label, "add")
        assert staff.get(button[1]).status_code == 200
    else:
        assert button is None
    assert 'id="result_list"' not in shown
    assert 'name="action"' not in shown


def test_a_filter_that_finds_nothing_is_told_apart_and_can_be_cleared(staff: Client) -> None:
    add_lead()
    for query in ("?q=nobody", "?status__exact=won", "?q=nobody&status__exact=new"):
        shown = staff.get(address("leads.lead") + query).content.decode()
        assert "Nothing matches." in shown
        assert "Nothing here yet." not in shown
        assert '<a class="button" href="?">Clear the filters</a>' in shown
    assert "Ada" in staff.get(address("leads.lead") + "?").content.decode()


def test_a_popup_stays_one_when_its_filters_are_cleared(staff: Client) -> None:
    shown = staff.get(address("leads.lead") + "?_popup=1&q=nobody").content.decode()
    assert 'href="?_popup=1">Clear the filters</a>' in shown


def test_who_may_not_add_is_offered_no_button(staff: Client) -> None:
    agent = User.objects.create_user("agent@example.org", is_staff=True)
    client = Client()
    client.force_login(agent)
    assert client.get(address("leads.lead")).status_code == 403
    agent.user_permissions.add(Permission.objects.get(codename="view_lead"))
    shown = client.get(address("leads.lead")).content.decode()
    assert 'class="empty-state"' in shown
    assert 'class="button"' not in shown


def test_numbers_stand_under_one_another(staff: Client) -> None:
    add_lead(score=7)
    shown = staff.get(address("leads.lead")).content.decode()
    assert cell(shown, "score") == '<td class="num field-score">7</td>'
    assert '<th scope="col" class="num column-score">' in shown
    assert "num" not in cell(shown, "email")
    assert 'class="num column-email"' not in shown


def test_a_state_is_a_word_with_a_shape_and_a_moment_is_told_from_now(staff: Client) -> None:
    lead = add_lead(status=LeadStatus.WON)
    Lead.objects.filter(pk=lead.pk).update(created_at=timezone.now() - timedelta(hours=3, minutes=1))
    shown = staff.get(address("leads.lead")).content.decode()
    status = cell(shown, "status")
    assert 'class="state state-won tone-good"' in status
    assert "</svg>won</span>" in status
    created = cell(shown, "created_at")
    assert re.search(r'<time datetime="[^"]+" title="[^"]+">3\xa0hours ago</time>', created)


def test_a_rows_state_stands_beside_its_name(staff: Client) -> None:
    lead = add_lead(name="<i>Ada</i>", status=LeadStatus.PROPOSAL)
    shown = staff.get(reverse("admin:leads_lead_change", args=[lead.pk])).content.decode()
    title = re.search(r"<h2>&lt;i&gt;Ada&lt;/i&gt;(.*?)</h2>", shown)
    assert title
    assert 'class="state state-proposal tone-later"' in title[1]
    added = staff.get(address("leads.lead", "add")).content.decode()
    assert 'class="state ' not in added


def test_the_box_of_an_action_stands_before_its_words(staff: Client) -> None:
    lead = add_lead(unsubscribed_at=timezone.now())
    shown = staff.get(reverse("admin:leads_lead_do", args=[lead.pk, "consent"])).content.decode()
    assert re.search(
        r'<input type="checkbox" name="resubscribe"[^>]*><label class="vCheckboxLabel" for="id_resubscribe">', shown
    )
    assert re.search(r"<fieldset class=\"flex-container\"><legend[^>]*>The lead agrees to", shown)


def test_a_computed_number_of_the_engines_list_is_one_too(staff: Client) -> None:
    now = clock.now()
    Job.objects.create(
        **{"id": clock.new_id(), "queue": "email", "task": "test.task", "state": "completed", "message": "{}"},
        **{"created_at": now, "ready_at": now, "started_at": now, "ended_at": now},
    )
    shown = staff.get(address("jobs.job")).content.decode()
    assert cell(shown, "ran").startswith('<td class="num field-ran">')
    assert cell(shown, "attempts").startswith('<td class="num field-attempts">')


def test_what_a_row_holds_is_escaped_in_every_kind_of_column(staff: Client) -> None:
    add_lead(name="<script>alert(1)</script>", company='"><b class="field-score">')
    shown = staff.get(address("leads.lead")).content.decode()
    assert "<script>alert" not in shown
    assert '<b class="field-score">' not in shown
