"""What `make run` and `make demo` say, in the language of the site: LANGUAGE_CODE of the environment or of .env."""

from __future__ import annotations

import gettext as catalogues
import os
import re

from .children import BASE_DIR


def language() -> str:
    """The language's name as a folder of `locale/` has it, for example pt_BR."""
    code = os.environ.get("LANGUAGE_CODE", "") or _of_env_file()
    name, _, country = code.strip().lower().partition("-")
    return f"{name}_{country.upper()}" if country else name


def gettext(text: str) -> str:
    """The text in that language; without a translation as it is."""
    return catalogues.translation("django", BASE_DIR / "locale", [language()], fallback=True).gettext(text)


def _of_env_file() -> str:
    path = BASE_DIR / os.environ.get("ENV_FILE", ".env")
    try:
        found = re.search(
            r"^\s*(?:export\s+)?LANGUAGE_CODE\s*=\s*[\"']?([\w-]+)", path.read_text("utf-8"), re.MULTILINE
        )
    except (OSError, UnicodeDecodeError):
        return ""
    return found[1] if found else ""
