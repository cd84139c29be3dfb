"""The Portuguese README and quick start say what the English ones, and the commands themselves, say."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

ROOT = Path(__file__).resolve().parents[2]
QUICK_START = "docs/pt-BR/guia-rapido.md"
#: The one link that only the Portuguese README has, and the links by which the two lead to each other.
ONLY_HERE = {QUICK_START, "README.md", "README.pt-BR.md"}
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@cache
def text(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def prose(document: str) -> str:
    return BLOCK.sub("", text(document))


def headings(document: str) -> list[str]:
    return re.findall(r"^(#+) ", prose(document), re.MULTILINE)


def blocks(document: str, language: str) -> list[str]:
    return [body for name, body in BLOCK.findall(text(document)) if name == language]


def commands(document: str) -> list[str]:
    """Each line of the shell blocks, without its remark."""
    lines = [line.partition("#")[0].strip() for block in blocks(document, "sh") for line in block.splitlines()]
    return [line for line in lines if line]


def quoted(document: str) -> list[str]:
    return sorted(re.findall(r"`([^`\n]+)`", prose(document)))


def links(document: str) -> set[str]:
    return set(re.findall(r"\]\(([^)#]+)", text(document))) - ONLY_HERE


def test_both_readmes_have_the_same_sections() -> None:
    assert headings("README.pt-BR.md") == headings("README.md")


def test_both_readmes_have_the_same_code_and_the_same_commands() -> None:
    assert blocks("README.pt-BR.md", "python") == blocks("README.md", "python")
    assert commands("README.pt-BR.md") == commands("README.md")


def test_both_readmes_name_the_same_commands_files_and_options() -> None:
    assert quoted("README.pt-BR.md") == quoted("README.md")


def test_both_readmes_lead_to_the_same_pages_and_to_each_other() -> None:
    assert links("README.pt-BR.md") == links("README.md")
    assert "](README.pt-BR.md)" in text("README.md")
    assert "](README.md)" in text("README.pt-BR.md")


def test_both_readmes_have_the_same_picture_and_tables() -> None:
    (portuguese,), (english,) = blocks("README.pt-BR.md", ""), blocks("README.md", "")
    names = re.compile(r"[\w/]+\.py\b(?: run_huey)?|[\w/]+/|\w+\.\w+\([^ ]*|\bCOMMIT\b")
    assert names.findall(portuguese) == names.findall(english)
    assert len(portuguese.splitlines()) == len(english.splitlines())
    assert numbers_of_the_queues("README.pt-BR.md") == numbers_of_the_queues("README.md")


def numbers_of_the_queues(document: str) -> list[list[str]]:
    """Each row's numbers, with neither language's mark for thousands."""
    rows = re.findall(r"^\| (?:email|notification|lead) \|.*", prose(document), re.MULTILINE)
    assert len(rows) == 3
    return [re.findall(r"\d+", re.sub(r"(?<=\d)[.,](?=\d{3})", "", row)) for row in rows]


def test_both_readmes_give_as_many_rules_and_as_many_paragraphs() -> None:
    for pattern in (r"^\d\. \*\*", r"^\* ", r"^\*\*[^*]+\.\*\* "):
        found = re.compile(pattern, re.MULTILINE)
        assert len(found.findall(text("README.pt-BR.md"))) == len(found.findall(text("README.md")))


def own_commands() -> list[str]:
    return [line for line in commands(QUICK_START) if "manage.py" in line]


@pytest.mark.parametrize("line", own_commands())
def test_a_command_of_the_quick_start_is_one_that_manage_py_takes(line: str) -> None:
    _python, program, name, *words = line.split()
    assert program == "manage.py"
    parser = load_command_class(get_commands()[name], name).create_parser(program, name)
    parser.parse_args(words)  # ends the process on a word that it does not know


def test_the_quick_start_s_make_targets_exist() -> None:
    targets = set(re.findall(r"^(\w+):", text("Makefile"), re.MULTILINE))
    named = {line.split()[1] for line in commands(QUICK_START) if line.startswith("make ")}
    assert named
    assert named <= targets
