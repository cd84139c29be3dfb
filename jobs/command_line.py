"""Commands whose help and errors are in the language that Django has set.

A command of one's own:

    class Command(TranslatedCommand):
        help = gettext_noop("Say hello.")

        def add_arguments(self, parser):
            parser.add_argument("name", help=gettext("Whom to greet."))
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandParser, DjangoHelpFormatter, OutputWrapper
from django.utils.translation import gettext, gettext_noop, ngettext

from jobs.visible import visible

#: What argparse says, in all the versions of Python that we run on.
ARGPARSE_TEXTS = (
    gettext_noop("usage: "),
    gettext_noop("options"),
    gettext_noop("positional arguments"),
    gettext_noop("show this help message and exit"),
    gettext_noop("argument %(argument_name)s: %(message)s"),
    gettext_noop("the following arguments are required: %s"),
    gettext_noop("unrecognized arguments: %s"),
    gettext_noop("ambiguous option: %(option)s could match %(matches)s"),
    gettext_noop("expected one argument"),
    gettext_noop("expected at least one argument"),
    gettext_noop("ignored explicit argument %r"),
    gettext_noop("invalid %(type)s value: %(value)r"),
    gettext_noop("invalid choice: %(value)r (choose from %(choices)s)"),
    gettext_noop("invalid choice: %(value)r, maybe you meant %(closest)r? (choose from %(choices)s)"),
    gettext_noop("%(prog)s: error: %(message)s\n"),
)
#: The help of the options that Django gives every command; Django has no translation of it.
DJANGO_TEXTS = (
    gettext_noop("Show program's version number and exit."),
    gettext_noop(
        "Verbosity level; 0=minimal output, 1=normal output, 2=verbose output, 3=very verbose output",
    ),
    gettext_noop(
        'The Python path to a settings module, e.g. "myproject.settings.main". If this isn\'t provided, the '
        "DJANGO_SETTINGS_MODULE environment variable will be used."
    ),
    gettext_noop('A directory to add to the Python path, e.g. "/home/djangoprojects/myproject".'),
    gettext_noop("Display a full stack trace on CommandError exceptions."),
    gettext_noop("Don't colorize the command output."),
    gettext_noop("Force colorization of the command output."),
    gettext_noop("Skip system checks."),
)


class TranslatedHelp(DjangoHelpFormatter):
    """Also translates the options that are Django's own; give it to sub-commands as `formatter_class`."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return gettext(action.help) if action.help else action.help


class LineFormatter(logging.Formatter):
    """One line a fact, whatever a stranger's text in it holds; only a traceback has lines of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line itself."""
        return visible(super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        """The line, and the traceback if there is one."""
        return visible(super().format(record), keep="\n\t")


class VisibleOutput(OutputWrapper):
    """Hands a terminal no control sequence that stands in the texts of strangers: it is written out."""

    def write(  # type: ignore[override]  # as Django's own is
        self, msg: str = "", style_func: Callable[[str], str] | None = None, ending: str | None = None
    ) -> None:
        """Write a text, which may have several lines."""
        super().write(visible(str(msg), keep="\n\t"), style_func, ending)


class TranslatedCommand(BaseCommand):
    """Give `help` a text marked with gettext_noop: it is translated when the command is called.

    What is written through `self.stdout` and `self.stderr` fits any terminal: its encoding, and what steers it.
    """

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Django's parser, speaking our catalogue: argparse itself looks into one of the shell's language."""
        vars(argparse).update(_=gettext, ngettext=ngettext)
        self.help = gettext(self.help)
        parser = super().create_parser(prog_name, subcommand, formatter_class=TranslatedHelp, **kwargs)
        refuse = parser.error
        parser.error = lambda message: refuse(visible(message))  # type: ignore[method-assign]  # it quotes what was typed
        return parser

    def run_from_argv(self, argv: list[str]) -> None:
        """Run as a program: what the terminal cannot show is escaped, and a reader who leaves ends it quietly."""
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        try:
            try:
                super().run_from_argv(argv)
            finally:
                sys.stdout.flush()
        except BrokenPipeError:
            # as other programs end whose reader, `head` say, has seen enough
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGPIPE)

    def __setattr__(self, name: str, value: Any) -> None:
        # Django makes these anew in `execute`
        if name in ("stdout", "stderr") and type(value) is OutputWrapper:
            given: Any = value
            value = VisibleOutput(given._out, given.ending)
            value.style_func = given.style_func
        super().__setattr__(name, value)
