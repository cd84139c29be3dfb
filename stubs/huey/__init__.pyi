"""What Esteira uses of Huey 3.5, typed. Huey ships no types; what is missing here is not used."""

from collections.abc import Callable
from datetime import datetime

from huey.api import Huey as Huey
from huey.api import chord as chord
from huey.api import group as group
from huey.exceptions import CancelExecution as CancelExecution
from huey.exceptions import RetryTask as RetryTask

def crontab(
    minute: str = "*",
    hour: str = "*",
    day: str = "*",
    month: str = "*",
    day_of_week: str = "*",
    strict: bool = False,
) -> Callable[[datetime], bool]: ...
