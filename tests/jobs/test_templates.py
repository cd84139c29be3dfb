"""Tasks in the hands of a template, which calls what can be called."""

from __future__ import annotations

import pytest
from django.template import Context, Template

from jobs import Queue
from jobs.models import Job

lane = Queue("template_lane")


@lane.task(name="template.send")
def send(number: int = 0) -> None: ...


@pytest.mark.django_db
def test_a_template_enqueues_nothing() -> None:
    text = "{{ task }}|{{ task.name }}|{{ tasks.0.name }}|{% if task %}yes{% endif %}|{{ form.task.name }}"
    shown = Template(text).render(Context({"task": send, "tasks": [send], "form": {"task": send}}))
    assert shown.endswith("|template.send|template.send|yes|template.send")
    assert not Job.objects.exists()
