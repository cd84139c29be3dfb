"""What a supervisor tells systemd (`Type=notify`): that it is ready, alive, or stopping.

One datagram for each message, as sd_notify(3) describes it. Without systemd there is no socket, and nothing is said.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import MutableMapping

VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class ServiceManager:
    """Speaks to the service manager of this process, if it has one.

    Takes the variables that name it out of `environment`: a child that inherited them could speak in this one's name.
    """

    def __init__(self, environment: MutableMapping[str, str] = os.environ) -> None:
        address, watchdog, watched = (environment.pop(name, "") for name in VARIABLES)
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._is_watched = bool(watchdog) and watched in ("", str(os.getpid()))

    def ready(self) -> None:
        """All workers work."""
        self._say("READY=1")

    def alive(self) -> None:
        """Send a sign of life, where systemd waits for one (`WatchdogSec=`)."""
        if self._is_watched:
            self._say("WATCHDOG=1")

    def stopping(self, seconds: float) -> None:
        """The end begins and may take `seconds`: systemd waits that long even if the unit says less."""
        self._say(f"STOPPING=1\nEXTEND_TIMEOUT_USEC={seconds * 1_000_000:.0f}")

    def _say(self, text: str) -> None:
        if not self._address:
            return
        # a service manager that cannot be reached is no reason to stop working
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
            ear.setblocking(False)
            ear.sendto(text.encode(), self._address)
