"""What a person reads of a finding: its text says what to do, and docs/operations.md explains it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
#: Where findings are made: the engine's own, and what the product adds.
FILES = [
    *sorted((ROOT / "jobs" / "history" / "status").glob("*.py")),
    *(ROOT / app / "findings.py" for app in ("leads", "emails")),
]
#: What each finding's text must tell its reader to do.
REMEDIES = {
    "no_workers": "start `manage.py run_huey`",
    "nobody_works": "start `manage.py run_huey --queue %(queue)s`",
    "oldest_waiting": "give the queue more workers",
    "paused": "`manage.py jobs resume %(queue)s`",
    "paused_tags": "`manage.py jobs resume %(queue)s --tag TAG`",
    "dead_letters": "retry or discard",
    "unknown_queue": "define it, or cancel them",
    "pending_too_long": "see that `manage.py run_huey`",
    "no_keeper": "Restart `manage.py run_huey`",
    "keeper_stopped": "restart that `manage.py run_huey`",
    "worker_in_trouble": "see that the database admits as many connections",
    "jobs_past_timeout": "look for past_timeout in its log",
    "news_dropped": "Look for news_dropped in its log",
    "leases_not_reaped": "restart `manage.py run_huey`",
    "clock_skew": "let NTP set it",
    "clock_was_ahead": "Let NTP set the clock",
    "jobs_to_come": "See that `manage.py run_huey` runs",
    "schedule_failing": "Mend it",
    "breaker_open": "`manage.py jobs limits --close %(name)s`",
    "schedule_to_come": "See that `manage.py run_huey` runs",
    "oldest_transaction": "End its program, or SELECT pg_terminate_backend(%(pid)d)",
    "prepared_transaction": "COMMIT PREPARED or ROLLBACK PREPARED '%(name)s'",
    "standby": "End its long queries, or turn hot_standby_feedback off",
    "replication_slot": "See to its standby; if that is gone for good, SELECT pg_drop_replication_slot('%(name)s')",
    "dead_rows": ("run VACUUM (ANALYZE) %(table)s", "end what still needs them"),
    "autovacuum_off": ("Set autovacuum and track_counts to on", "ALTER TABLE %(table)s RESET (autovacuum_enabled)"),
    "large_log": "End it",
    "history_late": "See that `manage.py run_huey` runs and that its keeper reaches the database",
    "history_incomplete": "See that `manage.py run_huey` runs and reaches the database",
    "queue_broken": "Keep other programs off the keys of the jobs",
    "vanished": "Keep other programs off its keys",
    "broker_away": "See that it runs and that REDIS_URL is right",
    "submissions_open": ("process it again", "process them again"),
    "nobody_hears": "give the organization an active member",
    "nobody_reached": ("give the organization a member with another address", "under Suppressed addresses"),
    "left_behind": "brings them back",
    "findings_failed": "see the log for findings_failed",
}


def texts_of_findings() -> list[tuple[str, str]]:
    """Each code with each text that the source gives it: what was assigned to `text` since the last finding."""
    pairs = []
    for path in FILES:
        texts: list[str] = []
        for node in sorted(_statements(path), key=lambda node: node.lineno):
            if isinstance(node, ast.Assign):
                texts += _translated(node.value)
            elif texts:
                pairs += [(node.args[0].value, text) for text in texts]
                texts = []
    return pairs


def _statements(path: Path) -> Iterator[Any]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        assigns = isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "text"
        if assigns or (isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Finding"):
            yield node


def _translated(value: Any) -> list[str]:
    """The sentences in `_(...)`, `ngettext(...)` or `npgettext(...)`."""
    return [arg.value for arg in value.args if isinstance(arg, ast.Constant) and " " in str(arg.value)]


def test_the_text_of_every_finding_says_what_to_do() -> None:
    pairs = texts_of_findings()
    assert {code for code, _ in pairs} == set(REMEDIES)
    for code, text in pairs:
        remedies = REMEDIES[code]
        assert any(remedy in text for remedy in ([remedies] if isinstance(remedies, str) else remedies)), text


def test_every_finding_is_explained_in_the_docs() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in FILES)
    codes = set(re.findall(r'Finding\(\s*"(\w+)"', code))
    docs = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert codes == set(REMEDIES)
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|", docs, re.MULTILINE)
    assert codes == {code for code, meaning, remedy in rows if meaning.strip() and remedy.strip()}
