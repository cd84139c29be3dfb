"""Findings about the database that holds the jobs."""

from __future__ import annotations

from django.db import connections

from ...conf import jobs_settings
from . import postgresql, sqlite
from .finding import Finding, Limits


def findings_of_database(limits: Limits) -> list[Finding]:
    """What the database itself suffers from, by its vendor."""
    connection = connections[jobs_settings().database]
    if connection.vendor == "postgresql":
        return postgresql.findings(connection, limits)
    return sqlite.findings(connection, limits)
