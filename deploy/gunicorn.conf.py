"""The web server of production:  gunicorn -c deploy/gunicorn.conf.py

Read by gunicorn's parent process, which imports nothing of the project, so that a reload takes all code anew.
docs/configuration.md explains the variables.
"""

import os
import re
import sys
from pathlib import Path

from gunicorn.glogging import Logger

PROBES = {"/health/", "/ready/"}
#: Ids, slugs and file names are shorter; what is longer, or holds other characters, may be a token.
HARMLESS = re.compile(r"[A-Za-z0-9._-]{0,40}")


class QuietLogger(Logger):
    """An access log without personal data: no address, no query, no browser, and no tokens out of paths."""

    def access(self, resp, req, environ, request_time):
        """Note a request, unless it is a probe."""
        if environ.get("PATH_INFO") not in PROBES:
            super().access(resp, req, environ, request_time)

    def atoms(self, resp, req, environ, request_time):
        """What the line may be made of."""
        atoms = super().atoms(resp, req, environ, request_time)
        parts = (atoms["U"] or "").split("/")
        return {**atoms, "U": "/".join(part if HARMLESS.fullmatch(part) else "***" for part in parts)}


def number(name, default, highest):
    """A variable's whole number; a wrong one ends the start with exit code 78."""
    value = os.environ.get(name, "").strip() or str(default)
    if value.isascii() and value.isdecimal() and 1 <= int(value) <= highest:
        return int(value)
    sys.stderr.write(f"Wrong configuration: {name}={value!r}: expected 1 to {highest}\n")
    raise SystemExit(os.EX_CONFIG)


wsgi_app = "config.wsgi:application"
chdir = str(Path(__file__).resolve().parents[1])
bind = os.environ.get("WEB_BIND", "").strip() or "127.0.0.1:8000"

worker_class = "gthread"
workers = number("WEB_PROCESSES", 2, 64)
threads = number("WEB_THREADS", 4, 64)
timeout = 60  # seconds after which a process whose main thread hangs is killed
graceful_timeout = 20  # seconds that requests have at a stop; the unit and compose.yaml allow more
keepalive = 75  # seconds; longer than a proxy keeps its end, so that it never writes into a closed connection
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # a sign of life must not wait for a disk

# Whether a proxy's word is believed is said in one place, TRUST_PROXY: gunicorn itself believes nobody.
secure_scheme_headers = {}
forwarder_headers = ""
forwarded_allow_ips = ""

accesslog = errorlog = "-"
logger_class = QuietLogger
access_log_format = "%(t)s %(m)s %(U)s %(s)s %(B)s bytes %(M)s ms"
control_socket_disable = True
