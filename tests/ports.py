"""Free ports for servers that tests start, each kept for one process of the tests until it ends."""

from __future__ import annotations

import random
import socket

#: Below what Linux gives to outgoing connections (32768 to 60999): the port of a server that is down stays free.
PORTS = range(20000, 32000)

_kept: list[socket.socket] = []
_chance = random.SystemRandom()


def free_port() -> int:
    """A port of this host that nobody listens on, and that no other process of the tests is given beside this one.

    Raises OSError if none is free.
    """
    for port in _chance.sample(PORTS, len(PORTS)):
        # UDP's port of the same number is the word to the other processes; the kernel takes it back at the end
        word = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            word.bind(("127.0.0.1", port))
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("0.0.0.0", port))
        except OSError:
            word.close()
            continue
        _kept.append(word)
        return port
    raise OSError(f"no free port from {PORTS[0]} to {PORTS[-1]}")
