"""The variables that the project reads from its environment, found in the code."""

from __future__ import annotations

import ast
import re

from .deployment import ROOT

READERS = {
    "text",
    "boolean",
    "integer",
    "seconds",
    "words",
    "choice",
    "rate",
    "web_address",
    "database",
    "mail",
    "networks",
}


def variables_read() -> set[str]:
    """The first argument of every `env.text("NAME")` and its like under config/settings."""
    names = set()
    for path in (ROOT / "config" / "settings").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in READERS
                and node.args
                and isinstance(node.args[0], ast.Constant)
            ):
                names.add(str(node.args[0].value))
    return names


def variables_of_the_web_server() -> set[str]:
    """What gunicorn's parent process reads; it reads no .env file."""
    return set(re.findall(r'"(WEB_[A-Z]+)"', (ROOT / "deploy" / "gunicorn.conf.py").read_text(encoding="utf-8")))
