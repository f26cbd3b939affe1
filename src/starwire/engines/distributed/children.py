"""OS processes that end with this one: started here, and killed by the kernel when we are (on Linux).

The kernel watches the thread that started a child, not its OS process. So one thread starts them all, which
lives as long as we do. Each child is a session of its own: a Ctrl-C at the terminal reaches us alone, and we
decide the order in which children stop.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import IO

# Runs as a child, becomes another user where asked, ties itself to its parent, and then is the program. A
# function between fork and exec could do the same, but not safely in an OS process that has threads.
_BECOME = """
import ctypes, os, sys
parent, number, uid, gid, *command = sys.argv[1:]
if int(uid) >= 0:
    os.setgroups([])
    os.setgid(int(gid))
    os.setuid(int(uid))
    os.umask(0o077)
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, int(number), 0, 0, 0)
    if os.getppid() != int(parent):
        os._exit(1)
os.execvp(command[0], command)
"""


@dataclass(frozen=True)
class User:
    """Whose a child is."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class _Order:
    command: Sequence[str]
    environment: Mapping[str, str] | None
    folder: Path | None
    output: int | IO[bytes]


_orders: queue.SimpleQueue[tuple[_Order, Future[subprocess.Popen[bytes]]]] = queue.SimpleQueue()
_lock = threading.Lock()
_starter: threading.Thread | None = None


def spawn(
    command: Sequence[str | Path],
    *,
    output: int | IO[bytes],
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    user: User | None = None,
    when_we_die: signal.Signals = signal.SIGKILL,
) -> subprocess.Popen[bytes]:
    """Start a program whose id is the id of the ``Popen``.

    Args:
        command: the program and its arguments.
        output: where stdout and stderr go.
        environment: the whole of it; None: ours.
        folder: its working directory.
        user: who it becomes; only root can say so.
        when_we_die: the signal that the kernel sends it then.
    """
    become = [sys.executable, "-I", "-S", "-c", _BECOME, str(os.getpid()), str(int(when_we_die))]
    become += [str(-1 if user is None else user.uid), str(-1 if user is None else user.gid)]
    order = _Order([*become, *map(str, command)], environment, folder, output)
    done: Future[subprocess.Popen[bytes]] = Future()
    _ensure_starter()
    _orders.put((order, done))
    return done.result()


def _ensure_starter() -> None:
    global _starter  # noqa: PLW0603 - one for each OS process
    with _lock:
        if _starter is None or not _starter.is_alive():
            _starter = threading.Thread(target=_start_children, name="starwire-starter", daemon=True)
            _starter.start()


def _start_children() -> None:
    while True:
        order, done = _orders.get()
        try:
            done.set_result(
                subprocess.Popen(  # noqa: S603 - what our caller chose
                    order.command,
                    env=order.environment,
                    cwd=order.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=order.output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )
        except BaseException as error:  # noqa: BLE001 - whoever waits is told
            done.set_exception(error)


def end(process: subprocess.Popen[bytes], how: signal.Signals, *, seconds: float) -> bool:
    """Signal a child and wait for its end; False: it had to be killed."""
    if process.poll() is not None:
        return True
    process.send_signal(how)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False
    return True
