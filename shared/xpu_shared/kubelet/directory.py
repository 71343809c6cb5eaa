"""A close eye on the kubelet's socket directory: inotify tells at once, a poll every second is the safety net."""

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

POLL = 1.0  # seconds

Seen = tuple[int, int, int] | None  # device, inode and change time of a socket


class SocketDirectory:
    """Tells its listeners when the identity of a socket they look at has changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.kubelet = path / "kubelet.sock"
        self._seen: dict[str, Seen] = {str(self.kubelet): None}  # as texts: a poll every second should cost nothing
        self._listeners: set[Callable[[], None]] = set()

    def listen(self, listener: Callable[[], None]) -> None:
        self._listeners.add(listener)

    def stop_listening(self, listener: Callable[[], None]) -> None:
        self._listeners.discard(listener)

    def look_at(self, path: Path) -> None:
        """Have this socket looked at besides the kubelet's own."""
        self._seen[str(path)] = _see(str(path))

    def overlook(self, path: Path) -> None:
        self._seen.pop(str(path), None)

    def look(self) -> None:
        """Compare every socket with the last look; tell the listeners when one differs."""
        changed = False
        for path, before in self._seen.items():
            now = _see(path)
            if now != before:
                self._seen[path] = now
                changed = True
        if changed:
            for listener in tuple(self._listeners):
                listener()

    async def run(self) -> None:
        """Look every second until cancelled; whoever watches the directory calls `look` in between.

        The looking is done by a thread: waking the event loop for it would cost an idle plugin twice the time.
        """
        loop = asyncio.get_running_loop()
        working = threading.Lock()  # held until the end; waiting for it costs half of what an Event does
        working.acquire()

        def poll() -> None:
            while not working.acquire(timeout=POLL):
                if any(_see(path) != before for path, before in tuple(self._seen.items())):
                    with contextlib.suppress(RuntimeError):  # the loop has ended
                        loop.call_soon_threadsafe(self.look)

        threading.Thread(target=poll, name=f"looks at {self.path}", daemon=True).start()
        try:
            self.look()
            await loop.create_future()
        finally:
            working.release()


def _see(path: str) -> Seen:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_ctime_ns
