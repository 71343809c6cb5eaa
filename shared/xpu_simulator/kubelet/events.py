"""What a simulated kubelet lets others see: events as they happen, and a way to wait for a state."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    at: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeletStarted(Event):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeletStopped(Event):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRebooted(Event):
    """No container runs any more and what was in memory is gone; the kubelet starts next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointFailed(Event):
    """The kubelet goes on without what it could not read, or could not write."""

    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration(Event):
    """A plugin called Register, or a socket in plugins_registry was tried."""

    resource: str  # empty for a socket in plugins_registry that did not tell
    endpoint: str  # a file name
    version: str
    error: str = ""  # why it was refused
    registry: bool = False  # through plugins_registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Deregistration(Event):
    """A socket went from plugins_registry, or was replaced, and its plugin counts as registered no longer."""

    resource: str
    endpoint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Event):
    """A call between kubelet and plugin began: `arguments` are the request's fields in their order."""

    method: str
    resource: str  # empty for GetInfo, whose answer tells it
    arguments: tuple[tuple[str, ...] | int | str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ListReceived(Event):
    resource: str
    endpoint: str
    healthy: Sequence[str]
    unhealthy: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEnded(Event):
    resource: str
    endpoint: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceDropped(Event):
    """Nobody registered a lost resource again in time."""

    resource: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PodAdmitted(Event):
    pod: str
    devices: Mapping[str, Sequence[str]]  # ids by resource
    again: bool = False  # after a reboot, with what it had: Allocate was not called


@dataclass(frozen=True, slots=True, kw_only=True)
class PodRejected(Event):
    pod: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerStarted(Event):
    pod: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerStartFailed(Event):
    pod: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PodDeleted(Event):
    pod: str


class EventLog:
    """Tells every listener of every event, then looks whether somebody waited for what is now true."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[Event], None]] = []
        self._waiting: dict[asyncio.Future[None], Callable[[], bool]] = {}

    def subscribe(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Call `listener` with each event from now on; the answer is the function that ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def publish(self, event: Event) -> None:
        for listener in tuple(self._listeners):
            listener(event)
        for waiter, predicate in tuple(self._waiting.items()):
            _resolve(waiter, predicate)

    async def wait_until(self, predicate: Callable[[], bool], *, timeout: float, what: str = "") -> None:  # noqa: ASYNC109 - so that the error can say what was waited for
        """Return as soon as `predicate` holds; it is looked at now and after every event.

        Raises:
            TimeoutError: it did not within `timeout` seconds; the text is `what`.
        """
        if predicate():
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiting[waiter] = predicate
        try:
            async with asyncio.timeout(timeout):
                await waiter
        except TimeoutError:
            raise TimeoutError(f"not within {timeout:g} s: {what or 'what was waited for'}") from None
        finally:
            del self._waiting[waiter]


def _resolve(waiter: asyncio.Future[None], predicate: Callable[[], bool]) -> None:
    if waiter.done():
        return
    try:
        if predicate():
            waiter.set_result(None)
    except Exception as error:  # noqa: BLE001 - whatever the waiting side's own function raises is for that side
        waiter.set_exception(error)
