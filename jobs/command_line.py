"""Commands whose help and errors are in the language that Django has set.

A command of one's own:

    class Command(TranslatedCommand):
        help = gettext_noop("Say hello.")

        def add_arguments(self, parser):
            parser.add_argument("name", help=gettext("Whom to greet."))
"""

from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandParser, DjangoHelpFormatter
from django.utils.translation import gettext, gettext_noop, ngettext

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


class TranslatedCommand(BaseCommand):
    """Give `help` a text marked with gettext_noop: it is translated when the command is called."""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Django's parser, speaking our catalogue: argparse itself looks into one of the shell's language."""
        vars(argparse).update(_=gettext, ngettext=ngettext)
        self.help = gettext(self.help)
        return super().create_parser(prog_name, subcommand, formatter_class=TranslatedHelp, **kwargs)
