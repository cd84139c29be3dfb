"""Strict order: the sequence that a call belongs to, by name or by one of its arguments."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from django.utils.crypto import salted_hmac

from ..errors import InvalidOption, InvalidTask
from .labels import LONGEST_SEQUENCE, is_name
from .message import Signature
from .passed import Takes
from .unique import VARIADIC


def checked_parameter(task: str, signature: Signature, name: Any) -> str:
    """The parameter of `@queue.task(sequence=)`, empty without one; raises `InvalidTask`."""
    if name is None:
        return ""
    parameters = signature.signature.parameters
    if not isinstance(name, str) or name not in parameters or parameters[name].kind in VARIADIC:
        raise InvalidTask(
            f"task {task}: sequence={name!r}: expected the name of one of the function's parameters: "
            f"{', '.join(parameters) or 'it has none'}"
        )
    return name


def sequence_of_message(signature: Signature, name: str, message: str, takes: Takes | None) -> str:
    """The sequence that a call's argument names: its text, or a hash where that is long or personal; None is none.

    The same value makes the same name in every process, whichever task it is given to. Raises `InvalidOption` in a
    pipeline, whose arguments are not all there yet.
    """
    if takes is not None:
        text = "its arguments, one of which sequence= names, come of another job: enqueue it inside that job"
        raise InvalidOption(f"{signature.name} in a pipeline: {text}")
    (value,) = signature.values_of(message, [name])
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    if name in signature.personal:
        return "#" + salted_hmac("jobs.sequence", text, algorithm="sha256").hexdigest()
    return text if is_name(text, LONGEST_SEQUENCE) else "#" + hashlib.sha256(text.encode()).hexdigest()
