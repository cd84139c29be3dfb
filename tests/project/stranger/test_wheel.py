"""The wheel: the engine and its lists for the admin, whole, and nothing of the product."""

from __future__ import annotations

import re
import zipfile
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("admin_lists", "jobs")
#: The plugin of pytest, which imports neither of them by itself.
PLUGIN = "pytest_esteira.py"
#: What is no part of a package although it lies in its folder.
LEFT_OUT = {".pyc"}


@pytest.fixture
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as file:
        return {name for name in file.namelist() if not name.endswith("/")}


@pytest.fixture
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as file:
        (name,) = [name for name in file.namelist() if name.endswith(".dist-info/METADATA")]
        return HeaderParser().parsestr(file.read(name).decode())


def test_the_wheel_holds_every_file_of_the_engine_and_nothing_else(names: set[str]) -> None:
    inside = {name for name in names if ".dist-info/" not in name}
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_file()]
    assert inside == {str(path.relative_to(ROOT)) for path in files if path.suffix not in LEFT_OUT} | {PLUGIN}


@pytest.mark.parametrize(
    "name",
    [
        "jobs/templates/admin/jobs/job/page.html",
        "jobs/static/jobs/admin.css",
        "jobs/broker/database/sqlite/claim_jobs.sql",
        "jobs/migrations/0001_initial.py",
        "jobs/locale/pt_BR/LC_MESSAGES/django.mo",
        "jobs/locale/pt_BR/LC_MESSAGES/django.po",
        "jobs/py.typed",
        "admin_lists/templates/admin/admin_lists/change_list.html",
        "admin_lists/locale/pt_BR/LC_MESSAGES/django.mo",
        "admin_lists/py.typed",
        "jobs/broker/redis/lua/exchange.lua",
        "jobs/broker/redis/lua/parts/claim.lua",
    ],
)
def test_what_is_not_python_is_in_the_wheel_too(names: set[str], name: str) -> None:
    assert name in names


def test_the_engine_needs_django_huey_msgspec_and_cronsim_and_a_database_s_client_as_an_extra(
    metadata: Message,
) -> None:
    needed = metadata.get_all("Requires-Dist", [])
    assert sorted(one.split("<")[0].split(">")[0] for one in needed if "extra ==" not in one) == [
        *("cronsim", "django", "huey", "msgspec")
    ]
    optional = [one.partition("; extra ==") for one in needed if "extra ==" in one]
    extras = {extra.strip(" '"): re.split(r"[\[<>]", package)[0] for package, _semicolon, extra in optional}
    assert extras == {
        "metrics": "prometheus-client",
        "otel": "opentelemetry-api",
        "postgresql": "psycopg",
        "redis": "redis",
        "tasks": "django-tasks",
    }


def test_the_wheel_says_what_it_is(metadata: Message) -> None:
    assert metadata["Name"] == "esteira"
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.11"
    assert "INSTALLED_APPS" in str(metadata.get_payload()), "its description is the page for a stranger's project"


def test_building_leaves_nothing_in_the_checkout(wheel: Path) -> None:
    assert not [path for name in ("build", "dist", "*.egg-info") for path in ROOT.glob(name)]
