"""When to register with the kubelet, how long to wait after a failure, and the call itself."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import grpc

from xpu_shared.kubelet.sockets import CHANNEL, target
from xpu_shared.sockets import Identity
from xpu_wire import deviceplugin_v1beta1_pb2 as pb
from xpu_wire.deviceplugin_v1beta1_pb2_grpc import RegistrationStub

VERSION = "v1beta1"


class RegistrationError(Exception):
    """The kubelet is absent or refuses; the text has status and reason."""


class AlreadyConnectedError(RegistrationError):
    """Kubelets from 1.37 on refuse a socket path whose earlier connection they have not forgotten."""


class Cause(StrEnum):
    START = "start"
    KUBELET_RESTART = "kubelet-restart"
    SOCKET_LOST = "socket-lost"
    NO_STREAM = "no-stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Seconds."""

    deadline: float = 15.0  # of the Register call, within which the kubelet calls back
    patience: float = 30.0  # without a stream after a successful Register
    settle: float = 1.0  # between the end of our streams and the next Register to the same kubelet
    holders: float = 10.0  # between questions to the pod-resources API as long as something depends on the answer
    quiet_holders: float = 60.0  # between these questions else
    other_instance: float = 1.0  # between looks at a path where another process listens


def cause_to_register(
    *,
    registered_with: Identity | None,
    kubelet: Identity | None,
    in_place: bool,
    streams: int,
    quiet_since: float,
    patience: float,
    now: float,
) -> Cause | None:
    """Why to register again, None when all is well.

    Args:
        registered_with, kubelet: the kubelet's socket at the last Register and now; None when absent.
        in_place: our own socket is where we put it.
        quiet_since: when the last stream ended, or when Register succeeded.
    """
    if kubelet is not None and kubelet != registered_with:
        return Cause.KUBELET_RESTART
    if not in_place:  # a starting kubelet removes every socket, then makes its own
        return Cause.SOCKET_LOST if kubelet is not None else Cause.KUBELET_RESTART
    if kubelet is not None and streams == 0 and now - quiet_since >= patience:
        return Cause.NO_STREAM
    return None


class Backoff:
    """Waits between attempts: short for a second, because a starting kubelet is about to listen, then longer."""

    SHORT_PERIOD, SHORTEST, SHORT_SPREAD, LONGEST = 1.0, 0.020, 0.030, 30.0

    def __init__(self, started: float) -> None:
        self._started = started
        self._next = 1.0

    def delay(self, *, now: float, jitter: float) -> float:
        """Seconds to wait; `jitter` is a random number from 0 to 1."""
        if now - self._started < self.SHORT_PERIOD:
            return self.SHORTEST + self.SHORT_SPREAD * jitter
        delay = self._next
        self._next = min(self.LONGEST, 2 * delay)
        return delay * (1 + 0.2 * jitter)


async def register(
    kubelet: Path, *, endpoint: str, resource: str, options: pb.DevicePluginOptions, deadline: float
) -> None:
    """Tell the kubelet that `resource` is served on the socket `endpoint` beside its own.

    Raises:
        AlreadyConnectedError, RegistrationError
    """
    request = pb.RegisterRequest(version=VERSION, endpoint=endpoint, resource_name=resource, options=options)
    async with grpc.aio.insecure_channel(target(kubelet), options=CHANNEL) as channel:
        try:
            await RegistrationStub(channel).Register(request, timeout=deadline)
        except grpc.aio.AioRpcError as error:
            text = f"{error.code().name}: {error.details() or 'no details'}"[:300]
            kind = AlreadyConnectedError if "already connected" in text else RegistrationError
            raise kind(text) from error
