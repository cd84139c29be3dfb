"""The site's language, for what is said without Django: wrong settings, `make run`, `make demo`."""

from __future__ import annotations

import gettext as catalogues
import os
import re
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]


def gettext(text: str) -> str:
    """The text in the site's language; without a translation as it is."""
    return catalogues.translation("django", _ROOT / "locale", [language()], fallback=True).gettext(text)


def language() -> str:
    """LANGUAGE_CODE of the environment or of .env, as a folder of `locale/` has it, for example pt_BR; or nothing."""
    code = os.environ.get("LANGUAGE_CODE", "").strip() or _of_env_file()
    name, _, country = code.lower().partition("-")
    return f"{name}_{country.upper()}" if country else name


def _of_env_file() -> str:
    try:
        text = (_ROOT / (os.environ.get("ENV_FILE", "").strip() or ".env")).read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return ""
    found = re.search(r"^\s*(?:export\s+)?LANGUAGE_CODE\s*=\s*[\"']?([\w-]+)", text, re.MULTILINE)
    return found[1] if found else ""
