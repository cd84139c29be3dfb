"""The task of Django's tasks framework, whichever backend runs it."""

from django.tasks import task
from notes import work


@task()
def job(number, milliseconds, payload):
    """The work that all systems do."""
    work(number, milliseconds)
