"""A subscriber's ZeroMQ socket on the event loop: frames in, connected or not out, and a new socket when it is needed.

libzmq connects again by itself after most losses. It does not after a frame larger than MAXMSGSIZE, after anything that
is not ZeroMQ's protocol, and after a refused key; with a wrong key it tries ten times a second. The socket's monitor
tells these apart, and then a new socket takes over, after a pause that grows.

Whether libzmq connects again, its monitor says with an event for each attempt, which costs an idle program more than
the attempts. Over tcp it is listened to; of a unix socket we can see by its path whether somebody is there.

The socket's own descriptor is watched: a message costs a third of what it costs through zmq.asyncio (75 instead of
210 µs). It says "look" once, not as long as there is something to read, so every look ends with the question for more.
"""

import asyncio
import struct
from collections.abc import Callable
from pathlib import Path

import zmq

from xpu_shared.program.logs import Log
from xpu_shared.telemetry.counters import SubscriberCounters
from xpu_shared.telemetry.curve import ClientKeys
from xpu_shared.telemetry.ipc import obstacle

RETRY, LONGEST_RETRY = 0.1, 1.0  # seconds between attempts to connect
HANDSHAKE = 3000  # ms for a handshake
HEARTBEAT = 5000  # ms between signs of life over tcp
SHORTEST_PAUSE, LONGEST_PAUSE = 1.0, 10.0  # seconds before a new socket
GRACE = 0.5  # seconds after a loss in which libzmq tries at 0.1 and 0.3, and in as many again at 0.7
PATIENCE = 2.0  # seconds without a connection before it is spoken of
REST = 9  # times as long as a frame's handling nothing is read after it: a flood gets a tenth of the event loop
WATCHED = (
    zmq.Event.HANDSHAKE_SUCCEEDED
    | zmq.Event.HANDSHAKE_FAILED_AUTH
    | zmq.Event.HANDSHAKE_FAILED_NO_DETAIL
    | zmq.Event.HANDSHAKE_FAILED_PROTOCOL
    | zmq.Event.DISCONNECTED
)
REFUSALS = {
    zmq.Event.HANDSHAKE_FAILED_AUTH: "the publisher does not take this program's key",
    zmq.Event.HANDSHAKE_FAILED_NO_DETAIL: "the publisher's key is another one than expected",
    zmq.Event.HANDSHAKE_FAILED_PROTOCOL: "the handshake failed; do both sides have keys?",
}

log = Log("telemetry")


class Link:
    """Opened and closed on the event loop; every frame of `prefix` goes to `on_frame`, the newest only."""

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        endpoint: str,
        prefix: bytes,
        *,
        largest: int,
        keys: ClientKeys | None,
        on_frame: Callable[[bytes], bool],
        counters: SubscriberCounters,
    ) -> None:
        """`largest` is the most bytes of a frame; `on_frame` returns whether the frame was any good."""
        self._context = context
        self._endpoint = endpoint
        self._prefix = prefix
        self._largest = largest
        self._keys = keys
        self._on_frame = on_frame
        self._counters = counters
        self._loop = asyncio.get_running_loop()
        self._socket: zmq.Socket[bytes] | None = None
        self._monitor: zmq.Socket[bytes] | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._path = Path(endpoint.removeprefix("ipc://")) if endpoint.startswith("ipc://") else None
        self._pause = SHORTEST_PAUSE
        self._rests_until = 0.0
        self._said: str | None = None

    def open(self) -> None:
        """Begin to connect; there may be nobody yet."""
        if "speak" not in self._timers:
            self._later("speak", PATIENCE, self._speak)
        self._socket = self._context.socket(zmq.SUB)
        self._configure(self._socket)
        self._monitor = self._socket.get_monitor_socket(WATCHED if self._path else WATCHED | zmq.Event.CONNECT_RETRIED)
        self._socket.connect(self._endpoint)
        # Each look also handles what came before the descriptor was watched.
        self._loop.add_reader(self._monitor.FD, self._look_at_events)
        self._loop.add_reader(self._socket.FD, self._look_at_frames)
        self._look_at_events()
        self._look_at_frames()

    def _configure(self, socket: "zmq.Socket[bytes]") -> None:
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.CONFLATE, 1)
        socket.setsockopt(zmq.MAXMSGSIZE, self._largest)
        socket.setsockopt(zmq.RECONNECT_IVL, round(RETRY * 1000))
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, round(LONGEST_RETRY * 1000))
        socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE)
        socket.subscribe(self._prefix)
        if self._path is not None:
            return
        socket.setsockopt(zmq.IPV6, 1)
        socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT)
        if self._keys is not None:
            socket.setsockopt(zmq.CURVE_SERVERKEY, self._keys.server)
            socket.setsockopt(zmq.CURVE_PUBLICKEY, self._keys.public)
            socket.setsockopt(zmq.CURVE_SECRETKEY, self._keys.secret)

    def close(self) -> None:
        """Let go of everything. It may be opened again."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._counters.connected = False
        socket, self._socket = self._socket, None
        monitor, self._monitor = self._monitor, None
        if socket is None or monitor is None:
            return
        self._loop.remove_reader(socket.FD)
        self._loop.remove_reader(monitor.FD)
        socket.disable_monitor()
        monitor.close(0)
        socket.close(0)

    def _later(self, what: str, seconds: float, then: Callable[[], None]) -> None:
        """Do something later, once, whoever asked for it how often."""
        self._forget(what)
        self._timers[what] = self._loop.call_later(seconds, then)

    def _forget(self, what: str) -> None:
        timer = self._timers.pop(what, None)
        if timer is not None:
            timer.cancel()

    # Frames

    def _look_at_frames(self) -> None:
        socket = self._socket
        if socket is None:
            return
        now = self._loop.time()
        if now < self._rests_until:
            self._loop.remove_reader(socket.FD)
            self._later("frames", self._rests_until - now, self._look_again)
            return
        try:
            frame = socket.recv(zmq.NOBLOCK)
        except zmq.Again:
            return
        if self._on_frame(frame):
            self._pause = SHORTEST_PAUSE
            self._say("")
        ended = self._loop.time()
        self._rests_until = ended + REST * (ended - now)
        if int(socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN:  # more, which the descriptor may not tell
            self._later("frames", 0.0, self._look_at_frames)

    def _look_again(self) -> None:
        if self._socket is not None:
            self._loop.add_reader(self._socket.FD, self._look_at_frames)
            self._look_at_frames()

    # The connection

    def _look_at_events(self) -> None:
        while self._monitor is not None:
            try:
                event, _ = self._monitor.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._handle(zmq.Event(struct.unpack_from("=H", event)[0]))

    def _handle(self, event: zmq.Event) -> None:
        if event in REFUSALS:
            self._counters.handshake_failures += 1
            self._break(REFUSALS[event])
        elif event == zmq.Event.HANDSHAKE_SUCCEEDED:
            self._forget("broken")
            self._forget("speak")
            self._counters.connected = True
            self._counters.connections += 1
        elif event == zmq.Event.DISCONNECTED:
            self._counters.connected = False
            self._later("speak", PATIENCE, self._speak)
            self._later("broken", GRACE, self._lost)
        else:  # libzmq connects again, over tcp
            self._forget("broken")

    def _lost(self) -> None:
        """libzmq had the time for two attempts: see whether a third one could succeed."""
        if self._path is None:
            self._broken()
        elif obstacle(self._path):
            self._reopen_after(0.0)  # the publisher ended; libzmq tries for ever, but not if something else came before
        else:
            self._later("broken", GRACE, self._broken)

    def _broken(self) -> None:
        self._counters.dropped["too large"] += 1
        self._break(f"the publisher sent a frame above {self._largest} bytes, or not ZeroMQ's protocol")

    def _break(self, trouble: str) -> None:
        """Give this socket up and take another one after a pause."""
        self._say(trouble)
        self._reopen_after(self._pause)
        self._pause = min(self._pause * 2, LONGEST_PAUSE)

    def _reopen_after(self, seconds: float) -> None:
        self.close()
        self._later("open", seconds, self.open)

    def _speak(self) -> None:
        """Say why there is no connection, as long as there is none; what broke one was said already."""
        if self._pause > SHORTEST_PAUSE:
            return
        if self._path is None:
            self._say("nobody answers there")
        else:
            self._say(obstacle(self._path) or "what listens there does not answer")
        self._later("speak", LONGEST_PAUSE, self._speak)

    def _say(self, trouble: str) -> None:
        """One line when the trouble is another one than before; empty is none, which a good frame shows."""
        if trouble == self._said:
            return
        self._said = trouble
        if trouble:
            log.warning("no telemetry", endpoint=self._endpoint, reason=trouble)
        else:
            log.info("receives telemetry", endpoint=self._endpoint)
