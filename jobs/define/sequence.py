"""The sequence and the group that a call belongs to by one of its arguments."""

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


def checked_parameter(task: str, signature: Signature, option: str, name: Any) -> str:
    """The parameter of `@queue.task(sequence=)` or `(group=)`, empty without one; raises `InvalidTask`.

    The name of a group is read by people and stands in their settings: it cannot be a personal argument.
    """
    if name is None:
        return ""
    parameters = signature.signature.parameters
    if not isinstance(name, str) or name not in parameters or parameters[name].kind in VARIADIC:
        raise InvalidTask(
            f"task {task}: {option}={name!r}: expected the name of one of the function's parameters: "
            f"{', '.join(parameters) or 'it has none'}"
        )
    if option == "group" and name in signature.personal:
        text = "the name of a group is read by people: give another parameter, the id of whom it is about, say"
        raise InvalidTask(f"task {task}: group={name!r} is personal: {text}")
    return name


def name_of_message(signature: Signature, option: str, name: str, message: str, takes: Takes | None) -> str:
    """What a call's argument names: its text, or a hash where that is long or personal; None is none.

    The same value makes the same name in every process, whichever task it is given to. Raises `InvalidOption` in a
    pipeline, whose arguments are not all there yet.
    """
    if takes is not None:
        text = f"its arguments, one of which {option}= names, come of another job: enqueue it inside that job"
        raise InvalidOption(f"{signature.name} in a pipeline: {text}")
    (value,) = signature.values_of(message, [name])
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    if name in signature.personal:
        return "#" + salted_hmac(f"jobs.{option}", text, algorithm="sha256").hexdigest()
    return text if is_name(text, LONGEST_SEQUENCE) else "#" + hashlib.sha256(text.encode()).hexdigest()
