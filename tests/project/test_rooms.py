"""The house stays one in which a newcomer finds the way."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 400
#: path -> why this file is one subject all the same
LONG_FOR_A_REASON: dict[str, str] = {}


def test_no_module_is_too_long_to_be_one_subject():
    long = {
        str(path.relative_to(ROOT)): lines
        for app in ("jobs", "leads", "notifications", "emails", "config", "admin_lists")
        for path in (ROOT / app).rglob("*.py")
        if "migrations" not in path.parts and (lines := len(path.read_text(encoding="utf-8").splitlines())) > LONGEST
    }
    assert {path: lines for path, lines in long.items() if path not in LONG_FOR_A_REASON} == {}
    assert set(LONG_FOR_A_REASON) <= set(long), "these are short again: remove their reasons"
