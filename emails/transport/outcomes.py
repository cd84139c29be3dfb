"""How one try to send a mail can end."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sent:
    """The other side took the mail. `receipt` is the id by which it, or we, call it.

    `recorded` says that nothing left the house: the mail was only written down.
    """

    receipt: str
    recorded: bool = False


class NotSent(Exception):
    """The root of the outcomes other than sent; the text says what the other side said."""


class TryLater(NotSent):
    """It surely did not go out; another try may help.

    `retry_after` is the seconds that the other side named, `whole_queue` that it asked all mail to wait.
    """

    def __init__(self, text: str, *, retry_after: float | None = None, whole_queue: bool = False) -> None:
        self.retry_after = retry_after
        self.whole_queue = whole_queue
        super().__init__(text)


class Away(TryLater):
    """The other side as a whole was not reached, or takes no mail at the moment: it is not about this one."""


class Refused(NotSent):
    """It did not go out and never will: the other side takes no such mail, or none to this address."""


class Unclear(NotSent):
    """It may have gone out: the connection was lost, or timed out, after it was handed over and before the answer.

    `repeatable` says that the other side knows a repetition when it sees one: another try sends nothing twice.
    """

    def __init__(self, text: str, *, repeatable: bool = False) -> None:
        self.repeatable = repeatable
        super().__init__(text)


class Misconfigured(NotSent):
    """No mail goes out until somebody mends a setting: a wrong password, a sender that is not allowed."""
