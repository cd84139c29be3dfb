"""How long a mail waits that the other side does not take now, and when it is given up."""

from __future__ import annotations

from datetime import timedelta

#: Seconds between two tries, at first and at most: who greylists wants to see minutes go by (RFC 6647), and a mail
#: server asks others to try every few hours for days (RFC 5321, 4.5.4.1).
SHORTEST_PAUSE, LONGEST_PAUSE = 300.0, 7_200.0
#: After so long what a mail has to say is late, and somebody should know that it did not go out.
GIVE_UP_AFTER = timedelta(days=1)
#: So many tries are made exactly when the other side asks for them; a job has 100 starts.
OBEDIENT_TRIES = 30


def pause_before(age: timedelta, tries: int, asked: float | None) -> float | None:
    """Seconds until the next try of a mail that was tried `tries` times, for the first time `age` ago; None: no more.

    Each pause is as long as all before it together, within bounds, and never shorter than the other side `asked`.
    """
    if age >= GIVE_UP_AFTER:
        return None
    if asked is not None and tries <= OBEDIENT_TRIES:
        return asked
    return max(SHORTEST_PAUSE, asked or 0.0, min(age.total_seconds(), LONGEST_PAUSE))
