"""A runner without a project: it says what one says, and keeps as many MiB as its jobs name. Run by a test."""

from __future__ import annotations

import json
import os
import sys
from multiprocessing.connection import Connection

from jobs import clock
from jobs.broker.records import Completed, Settlement
from jobs.work.frames import Begun, Ended, Ready, Work, heard_by_runner, send

line = Connection(int(sys.argv[sys.argv.index("--pipes") + 1].split(",")[0]))
kept = []
send(line, Ready())
while isinstance(frame := heard_by_runner(line), Work):
    send(line, Begun())
    asked = json.loads(frame.job.message)
    kept.append(b"x" * (asked.get("keep", 0) << 20))
    for _ in range(asked.get("leave", 0)):  # dead, and nobody asks how they ended
        os.waitid(os.P_PID, os.posix_spawnp("true", ["true"], {}), os.WEXITED | os.WNOWAIT)
    send(line, Ended.by(Settlement(frame.job, Completed(str(os.getpid())), clock.now(), clock.now())))
