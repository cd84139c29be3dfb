"""`manage.py run_huey`: works on the queues until it is told to stop."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import socket
import sys
import threading
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from jobs import clock, logs
from jobs.broker import get_broker
from jobs.broker.records import ProcessRecord
from jobs.command_line import LineFormatter, TranslatedCommand
from jobs.conf import jobs_settings
from jobs.connections import keep_connections
from jobs.errors import JobsError
from jobs.keep.loop import keep
from jobs.supervise.children import own_command
from jobs.supervise.start import DatabaseAway, check_configuration, check_connections, check_database, plan
from jobs.supervise.supervisor import Supervisor
from jobs.supervise.watch import CodeWatch
from jobs.work.child import run_worker
from jobs.work.link import ParentLink
from jobs.work.runner import run_runner
from jobs.work.wear import Wear


class Command(TranslatedCommand):
    """Starts a supervisor with workers for all queues, or those named, and one keeper."""

    help = gettext_noop(
        "Work on the job queues: all of them, or those given by --queue. Ctrl-C finishes what runs, twice ends now."
    )
    requires_system_checks: list[str] = []  # those of the jobs are run below; the site's are no business of a worker

    def add_arguments(self, parser: CommandParser) -> None:
        """The options; those of the child processes are for the supervisor only, and not shown."""
        parser.add_argument(
            "--queue", action="append", default=[], metavar=_("NAME"), help=_("Work on this queue; may be repeated.")
        )
        parser.add_argument(
            "--concurrency",
            action="append",
            default=[],
            metavar=_("NAME=N"),
            help=_("Threads of each worker process of a queue, instead of the queue's own number; may be repeated."),
        )
        parser.add_argument(
            "--processes",
            action="append",
            default=[],
            metavar=_("NAME=N"),
            help=_("Worker processes of a queue (default: 1); may be repeated."),
        )
        parser.add_argument(
            "--max-jobs",
            action="append",
            default=[],
            metavar=_("[NAME=]N"),
            help=_("Replace a worker process after so many jobs, without a gap; may be repeated, by queue."),
        )
        parser.add_argument(
            "--max-memory",
            action="append",
            default=[],
            metavar=_("[NAME=]MIB"),
            help=_("Replace a worker process that uses so much memory, without a gap; may be repeated, by queue."),
        )
        parser.add_argument(
            "--no-reload", action="store_true", help=_("With DEBUG: do not restart the workers when code changes.")
        )
        hidden = argparse.SUPPRESS
        parser.add_argument("--child", choices=["worker", "keeper", "runner"], help=hidden)
        parser.add_argument("--worker-id", type=UUID, help=hidden)
        parser.add_argument("--pipes", help=hidden)
        parser.add_argument("--threads", type=int, default=1, help=hidden)
        parser.add_argument("--alone", action="store_true", help=hidden)

    def handle(self, *args: Any, **options: Any) -> None:
        """Be a supervisor, or one of its children; ends the process with its exit code."""
        if threading.current_thread() is not threading.main_thread():
            raise CommandError(_("run_huey listens to signals, so it must run in the main thread of its process"))
        _log_to_the_terminal()
        logs.protect()
        try:
            code = self._be_child(options) if options["child"] else self._supervise(options)
        except (JobsError, ImproperlyConfigured) as error:
            # 75: trying again may help; 78: restarting does not
            code = os.EX_TEMPFAIL if isinstance(error, DatabaseAway) else os.EX_CONFIG
            raise CommandError(str(error), returncode=code) from error
        finally:
            logs.finish()
            gc.freeze()  # all of it goes with the process: looking for garbage in it took most of the way out
        if code:
            sys.exit(code)

    def _supervise(self, options: dict[str, Any]) -> int:
        check_configuration()
        names = ("queue", "concurrency", "processes", "max_jobs", "max_memory")
        posts = plan(*(options[name] for name in names))
        own = ProcessRecord(clock.new_id(), "supervisor", "", socket.gethostname()[:100], os.getpid())
        check_database(own)
        check_connections(posts)
        watch = None
        if settings.DEBUG and not options["no_reload"]:
            watch = CodeWatch(Path(getattr(settings, "BASE_DIR", Path.cwd())))
        supervisor = Supervisor(
            posts,
            get_broker(),
            own,
            command=own_command(options["pythonpath"]),
            lease=jobs_settings().lease,
            grace=jobs_settings().grace,
            watch=watch,
        )
        return supervisor.run()

    def _be_child(self, options: dict[str, Any]) -> int:
        life, beat = (int(end) for end in options["pipes"].split(","))
        if options["child"] == "runner":
            return run_runner(options["queue"][0], options["worker_id"], line=life, stacks=beat)
        if options["child"] == "worker":
            return run_worker(
                options["queue"][0],
                options["worker_id"],
                threads=options["threads"],
                alone=options["alone"],
                life=life,
                beat=beat,
                command=own_command(options["pythonpath"]),
                wear=Wear(*(int(given[0]) if (given := options[name]) else 0 for name in ("max_jobs", "max_memory"))),
            )
        stop = threading.Event()
        link = ParentLink(life, beat, stop.set)
        get_broker()
        link.start()
        link.ready()
        keep_connections()
        keep(stop, worker=options["worker_id"])
        return 0


def _log_to_the_terminal() -> None:
    """Show what the engine does where the settings do not say what to do with logs."""
    logger, chosen = logging.getLogger("jobs"), logging.root.level != logging.WARNING
    if not logger.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(LineFormatter("{asctime} {levelname} {name}: {message}", style="{"))
        logger.addHandler(handler)
        if logger.level == logging.NOTSET and not chosen:
            logger.setLevel(logging.INFO)
    huey = logging.getLogger("huey")
    if huey.level == logging.NOTSET:
        huey.setLevel(logging.WARNING)  # its start-up message is a page long
