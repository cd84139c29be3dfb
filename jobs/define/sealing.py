"""Encrypted arguments and results: ciphertext wherever they are stored (`JOBS_ENCRYPTION_KEYS`)."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured

from ..conf import jobs_settings
from ..errors import CannotDecrypt

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

#: How the text begins that stands in the place of an argument's JSON.
MARK = "fernet:"
#: Before the text in the place of a result; no JSON that the engine writes begins with a tab.
_RESULT = "\t"


def seal_json(value: bytes) -> str:
    """The text to store in place of an argument's JSON; raises `ImproperlyConfigured` without keys."""
    return MARK + _box().encrypt(value).decode()


def opened_json(stored: bytes) -> bytes:
    """An argument's JSON as it was before `seal_json`, or as it is if it never was sealed; raises `CannotDecrypt`."""
    if not stored.startswith(f'"{MARK}'.encode()):
        return stored
    return _opened(json.loads(stored)[len(MARK) :])


def opened_message(text: str) -> str:
    """A stored message with its arguments as they were, as far as the keys fit; for who looks for a text in them."""
    if MARK not in text:
        return text
    try:
        return json.dumps(opened_values(json.loads(text)), ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


def opened_values(value: Any) -> Any:
    """JSON values with the encrypted ones in them as they were, as far as the keys fit."""
    if isinstance(value, dict):
        return {name: opened_values(item) for name, item in value.items()}
    if isinstance(value, list):
        return [opened_values(item) for item in value]
    if isinstance(value, str) and value.startswith(MARK):
        try:
            return json.loads(_opened(value[len(MARK) :]))
        except CannotDecrypt:
            return value
    return value


def seal_result(text: str) -> str:
    """The text to store in place of a result's JSON; raises `ImproperlyConfigured` without keys."""
    return f'{_RESULT}"{_box().encrypt(text.encode()).decode()}"'


def is_sealed_result(text: str) -> bool:
    """Whether a stored result is ciphertext."""
    return text.startswith(_RESULT)


def opened_result(text: str) -> str:
    """A result's JSON as it was before `seal_result`; raises `CannotDecrypt`."""
    return _opened(text[2:-1]).decode()


def _opened(token: str) -> bytes:
    from cryptography.fernet import InvalidToken

    keys = jobs_settings().encryption_keys
    if not keys:
        raise CannotDecrypt("it is encrypted, and this process has no JOBS_ENCRYPTION_KEYS")
    try:
        return _boxes(tuple(keys)).decrypt(token)
    except InvalidToken:
        raise CannotDecrypt("none of the keys in JOBS_ENCRYPTION_KEYS of this process decrypts it") from None


def _box() -> MultiFernet:
    keys = jobs_settings().encryption_keys
    if not keys:
        raise ImproperlyConfigured("a task with encrypted=, but no key to encrypt with: set JOBS_ENCRYPTION_KEYS")
    return _boxes(tuple(keys))


@cache
def _boxes(keys: tuple[str, ...]) -> MultiFernet:
    # only who encrypts needs the package
    from cryptography.fernet import Fernet, MultiFernet

    return MultiFernet([Fernet(key) for key in keys])
