"""A step of a task: what is done once, its result kept over the job's retries."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import TracebackType
from typing import Any

from ..errors import InvalidOption, PermanentError
from .results import decode_result, encode_result


class Step:
    """One step of the running job; what `job.step(name)` returns.

        with job.step("charge") as step:
            if not step.done:
                step.save(provider.charge(amount, idempotency_key=step.idempotency_key))
        receipt = step.result

    A block that ends without `save` and without an error keeps None. A `with` cannot skip its block: one that never
    asks for `done` would do the step again, so it ends with `PermanentError` the first time it runs.
    """

    def __init__(
        self, name: str, key: str, kept: str | None, keep: Callable[[str], None], *, sealed: bool = False
    ) -> None:
        self.name = name
        self.idempotency_key = key
        self._kept = kept
        self._keep = keep
        self._sealed = sealed
        self._asked = False

    @property
    def done(self) -> bool:
        """Whether the step has a kept result: of an earlier start, or since `save`."""
        self._asked = True
        return self._kept is not None

    @property
    def result(self) -> Any:
        """The kept result, as JSON values; raises `InvalidOption` where there is none yet."""
        if self._kept is None:
            raise InvalidOption(f"step {self.name!r} has no result yet: step.save(value) keeps one")
        return decode_result(self._kept)

    def save(self, value: Any = None) -> None:
        """Keep what the step came to, JSON values up to 64 KiB: from now on the step is done.

        Inside `atomic()` on the jobs' database it commits with it. Raises `InvalidOption` if the step was done before,
        `InvalidArguments` for a value that is no JSON, `RetryLater` if it cannot be kept.
        """
        if self._kept is not None:
            raise InvalidOption(f"step {self.name!r} has its result already: ask step.done before the work")
        text = encode_result(f"step {self.name!r}", value, sealed=self._sealed) or "null"
        self._keep(text)
        self._kept = text

    def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call the function and save what it returns, unless the step is done; returns the result, as JSON values."""
        if not callable(function) or inspect.iscoroutinefunction(function):
            raise InvalidOption(f"step {self.name!r}: {function!r}: expected a function that is not async")
        if not self.done:
            self.save(function(*args, **kwargs))
        return self.result

    def __enter__(self) -> Step:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            return
        if self._kept is None:
            self.save()
        if not self._asked:
            raise PermanentError(
                f"step {self.name!r}: its block never asked step.done, so it would run again at each start; write "
                f"`if not step.done:` around the work, or job.step({self.name!r}, function, ...)"
            )
