"""deploy/: what the Grafana board and the alert rules ask for is what /metrics tells."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from jobs.metrics.text import metrics_text

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "esteira.rules.yaml"
NAME = re.compile(r"\b(esteira_\w+)(\{[^}]*\})?")


def board() -> dict[str, Any]:
    return json.loads((DEPLOY / "grafana" / "esteira.json").read_text(encoding="utf-8"))


def expressions() -> list[str]:
    rules = [rule["expr"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    return rules + [target["expr"] for panel in board()["panels"] for target in panel["targets"]]


@pytest.mark.django_db
def test_every_metric_and_label_that_board_and_rules_name_is_told() -> None:
    families = list(text_string_to_metric_families(metrics_text().decode()))
    labels: dict[str, set[str]] = {family.name: set() for family in families}
    for sample in (sample for family in families for sample in family.samples):
        labels.setdefault(sample.name, set()).update(sample.labels)
    asked = {match for expression in expressions() for match in NAME.findall(expression)}
    assert len({name for name, _selector in asked}) > 15
    for name, selector in asked:
        assert name in labels, name
        for label in re.findall(r"(\w+)\s*(?:=~|!=|=)", selector):
            assert label in labels[name], (name, label)
    for expression in expressions():
        by = {label for words in re.findall(r"\b(?:by|on) ?\(([^)]*)\)", expression) for label in words.split(", ")}
        known = set().union(*(labels[name] for name, _selector in NAME.findall(expression)), {"limit", "breaker"})
        assert by <= known, (expression, by - known)


def test_the_board_s_panels_have_numbers_and_places_of_their_own() -> None:
    panels = board()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    grids = [panel["gridPos"] for panel in panels]
    places = [(x, grid["y"]) for grid in grids for x in range(grid["x"], grid["x"] + grid["w"])]
    assert len(set(places)) == len(places)
    assert max(x for x, _y in places) < 24


def test_promtool_where_there_is_one_finds_the_rules_right() -> None:
    promtool = shutil.which("promtool")
    if promtool is not None:
        done = subprocess.run([promtool, "check", "rules", str(RULES)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    for rule in yaml.safe_load(RULES.read_text())["groups"][0]["rules"]:
        assert rule["annotations"].keys() == {"summary", "description"}
        assert rule["labels"]["severity"] in ("page", "ticket")
