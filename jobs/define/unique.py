"""Uniqueness: the key that a call's arguments make, and what is to happen where a key is held."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from django.utils.crypto import salted_hmac

from ..broker.records import KeyMode, KeyRule
from ..errors import InvalidOption, InvalidTask
from ..policy import ONE_YEAR
from .message import Signature
from .reference import is_storable

#: The length of the column that holds a key.
MAX_KEY = 200
#: The options of `using` that say what is to happen where the key is held; at most one of them.
MODES = ("throttle", "debounce", "replace", "rerun")
VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def checked_key(key: Any) -> str:
    """A key that every store can hold; raises `InvalidOption`."""
    if not isinstance(key, str) or not key or not is_storable(key, MAX_KEY):
        raise InvalidOption(f"key={key!r}: expected a text of 1 to {MAX_KEY} characters")
    return key


def seconds_of(name: str, value: Any, *, allow_zero: bool) -> float:
    """An option that is a duration, in seconds; raises `InvalidOption`."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    lowest_is_fine = isinstance(seconds, (int, float)) and not isinstance(seconds, bool) and 0 <= seconds <= ONE_YEAR
    if not lowest_is_fine or (seconds == 0 and not allow_zero):
        expected = "from 0" if allow_zero else "above 0"
        raise InvalidOption(f"{name}={value!r}: expected a timedelta or seconds, {expected} and at most one year")
    return float(seconds)


def rule_of(known: KeyRule | None, **given: Any) -> KeyRule | None:
    """The rule that these options of `using` make; None leaves one as it is, False takes it back.

    Raises `InvalidOption` for two of them, or a wrong value.
    """
    named = {name: value for name, value in given.items() if value is not None}
    rules = {}
    for name, value in named.items():
        if name in ("replace", "rerun"):
            if not isinstance(value, bool):
                raise InvalidOption(f"{name}={value!r}: expected True or False")
            rules[name] = KeyRule(KeyMode(name)) if value else None
        else:
            rules[name] = KeyRule(KeyMode(name), seconds_of(name, value, allow_zero=False))
    made = [rule for rule in rules.values() if rule is not None]
    if known is not None and str(known.mode) not in rules:
        made.insert(0, known)
    if len(made) > 1:
        two = " and ".join(f"{rule.mode}=" for rule in made)
        raise InvalidOption(f"{two}: a key that is held has one rule; give one of {', '.join(MODES)}")
    return made[0] if made else None


def check_rule(rule: KeyRule | None, key: str | None, unique: Sequence[str]) -> None:
    """Raise `InvalidOption` for a rule without a key."""
    if rule is not None and key is None and not unique:
        raise InvalidOption(f"{rule.mode}=: whose? give key= too, or @queue.task(unique=(...)) to the task")


def checked_names(name: str, signature: Signature, unique: Any) -> tuple[str, ...]:
    """The parameters of `unique=`; raises `InvalidTask`."""
    if unique is None:
        return ()
    if isinstance(unique, str) or not isinstance(unique, Iterable):
        raise InvalidTask(f"task {name}: unique= takes several parameter names: write ('one',)")
    names = tuple(unique)
    parameters = signature.signature.parameters
    wrong = [one for one in names if one not in parameters or parameters[one].kind in VARIADIC]
    if wrong or not names or len(set(names)) != len(names):
        raise InvalidTask(
            f"task {name}: unique={names!r}: expected names of the function's parameters, each once: "
            f"{', '.join(parameters) or 'it has none'}"
        )
    return names


def checked_encrypted(name: str, signature: Signature, encrypted: Any) -> frozenset[str]:
    """The parameters of `encrypted=`, True for all; raises `InvalidTask`."""
    parameters = tuple(signature.signature.parameters)
    if isinstance(encrypted, bool):
        return frozenset(parameters) if encrypted else frozenset()
    names = () if isinstance(encrypted, str) or not isinstance(encrypted, Iterable) else tuple(encrypted)
    if names != encrypted and not names or any(one not in parameters for one in names):
        raise InvalidTask(
            f"task {name}: encrypted={encrypted!r}: expected True, or several names of the function's parameters: "
            f"{', '.join(parameters) or 'it has none'}"
        )
    return frozenset(names)


def key_of_message(signature: Signature, unique: Sequence[str], message: str) -> str:
    """The key that a call's arguments make: `app.task(7)`, or a hash where that is long or holds personal data.

    The same values make the same key in every process, by whatever name or place they were given; what was left out
    counts as its default.
    """
    values = signature.values_of(message, unique)
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    if signature.personal & set(unique):
        return _hashed(signature.name, salted_hmac("jobs.unique", text, algorithm="sha256").hexdigest())
    key = f"{signature.name}({text[1:-1]})"
    if is_storable(key, MAX_KEY):
        return key
    return _hashed(signature.name, hashlib.sha256(text.encode()).hexdigest())


def _hashed(name: str, digest: str) -> str:
    """A name may be as long as a key."""
    return f"{name[: MAX_KEY - len(digest) - 1]}#{digest}"
