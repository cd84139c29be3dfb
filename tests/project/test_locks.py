"""The locks: everything that pyproject.toml asks for, with hashes, and no address."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
ASKED: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS: dict[str, list[str]] = ASKED["project"]["optional-dependencies"]
#: What the product does without.
FOR_OTHERS = [*EXTRAS.pop("tasks"), *EXTRAS.pop("otel")]
ENGINE = [*ASKED["project"]["dependencies"], *sum(EXTRAS.values(), [])]
PRODUCT = [*ENGINE, *ASKED["dependency-groups"]["product"]]
DEV = [*PRODUCT, *FOR_OTHERS, *ASKED["dependency-groups"]["dev"]]
LOCKS = {"requirements.txt": PRODUCT, "requirements-dev.txt": DEV}


def name_of(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0].lower().replace("_", "-")


@pytest.mark.parametrize("lock", LOCKS)
def test_the_lock_pins_what_the_project_asks_for(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    pinned = set(re.findall(r"^([a-z0-9.-]+)==", text, re.MULTILINE))
    assert {name_of(one) for one in LOCKS[lock]} - pinned == set(), "run `make lock`"
    assert len(re.findall(r"==[^\n]*\\\n +--hash=", text)) == len(re.findall(r"^[a-z0-9.-]+==", text, re.MULTILINE))
    assert "://" not in text


def test_what_builds_the_wheel_is_the_same_for_a_stranger_and_for_the_tests() -> None:
    assert set(ASKED["build-system"]["requires"]) <= set(ASKED["dependency-groups"]["dev"])


def test_production_installs_nothing_that_only_tests_need() -> None:
    pinned = set(re.findall(r"^([a-z0-9.-]+)==", (ROOT / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE))
    assert pinned & {name_of(one) for one in ASKED["dependency-groups"]["dev"]} == set()
