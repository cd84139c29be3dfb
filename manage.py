#!/usr/bin/env python
"""Django's command line for this project."""

import os
import sys

from config.language import gettext as _

WRONG_CONFIGURATION = 78  # EX_CONFIG of sysexits.h: restarting does not mend it


def main() -> None:
    """Run the command that the arguments name."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.site")
    try:
        from django.conf import settings
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line
    except ImportError:
        sys.exit("Django is not installed in this Python; run `make run` once, then use .venv/bin/python manage.py")
    try:
        # Django starts some of its commands without settings; here a wrong value stops them all.
        if not any(word.startswith("--settings") for word in sys.argv):
            len(settings.INSTALLED_APPS)
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        print(_("Wrong configuration: %(error)s") % {"error": error}, file=sys.stderr)
        sys.exit(WRONG_CONFIGURATION)


if __name__ == "__main__":
    main()
