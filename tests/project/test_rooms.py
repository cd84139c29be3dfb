"""The house stays one in which a newcomer finds the way."""

from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[2]
APPS = ("jobs", "leads", "notifications", "emails", "accounts", "config", "admin_lists")
LONGEST = 400
#: path -> why this file is one subject all the same
LONG_FOR_A_REASON: dict[str, str] = {}


def test_no_module_is_too_long_to_be_one_subject():
    long = {
        str(path.relative_to(ROOT)): lines
        for app in APPS
        for path in (ROOT / app).rglob("*.py")
        if "migrations" not in path.parts and (lines := len(path.read_text(encoding="utf-8").splitlines())) > LONGEST
    }
    assert {path: lines for path, lines in long.items() if path not in LONG_FOR_A_REASON} == {}
    assert set(LONG_FOR_A_REASON) <= set(long), "these are short again: remove their reasons"


def test_no_file_of_the_engine_is_entered_again_from_below():
    graph = grimp.build_graph("jobs", exclude_type_checking_imports=True, cache_dir=None)
    # the package's own file only opens the door: what stands behind it is imported file by file
    imports = {name: graph.find_modules_directly_imported_by(name) - {"jobs"} for name in graph.modules}
    assert _circle(imports) == {}


def test_the_guard_of_this_test_sees_a_circle():
    circle = {"retry": {"lookup"}, "lookup": {"states"}, "states": {"retry"}}
    assert _circle({"admin": {"retry"}, "clock": set(), **circle}) == circle


def _circle(imports: dict[str, set[str]]) -> dict[str, set[str]]:
    """What is left when all that imports nothing of the rest, or that nothing of the rest imports, is taken away."""
    left = {name: {below for below in imported if below in imports} for name, imported in imports.items()}
    while ends := {name for name, below in left.items() if not below} | (left.keys() - set().union(*left.values())):
        left = {name: below - ends for name, below in left.items() if name not in ends}
    return left


def test_every_room_of_the_engine_says_what_comes_before_and_after():
    rooms = ("define", "enqueue", "broker", "supervise", "work", "keep", "history", "operate")
    for room in rooms:
        text = (ROOT / "jobs" / room / "__init__.py").read_text(encoding="utf-8")
        assert text.startswith('"""'), f"jobs/{room}/__init__.py has no docstring"
        assert any(
            word in text for word in ("Before it:", "After it:", "Last of the stations", "Beside the way of a job:")
        ), room
