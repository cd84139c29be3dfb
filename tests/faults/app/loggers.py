"""Log handlers and filters as a project may have them: some fail."""

from __future__ import annotations

import logging


class Broken(logging.Handler):
    """Raises whatever it is told."""

    def emit(self, record: logging.LogRecord) -> None:
        raise RuntimeError("this log handler is broken")

    def handleError(self, record: logging.LogRecord) -> None:
        raise RuntimeError("and so is what tells of it")


class Refusing(logging.Filter):
    """Raises instead of an answer."""

    def filter(self, record: logging.LogRecord) -> bool:
        raise SystemExit("this filter is broken")


def configure(kind: str) -> dict[str, object]:
    """`LOGGING` with the usual lines, and something that is broken before and behind them."""
    broken = {"class": "tests.faults.app.loggers.Broken"}
    refusing = {"class": "tests.faults.app.loggers.Broken", "filters": ["refusing"]}
    line = {"class": "logging.StreamHandler", "formatter": "line"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
        "filters": {"refusing": {"()": "tests.faults.app.loggers.Refusing"}},
        "handlers": {"broken": broken, "refusing": refusing, "line": line},
        "root": {"handlers": ["broken", "refusing"], "level": "INFO"},
        "loggers": {"jobs": {"handlers": ["broken", "line"], "level": kind or "INFO"}},
    }
