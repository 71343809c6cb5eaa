"""What telemetry counts, on either side. Plain numbers: they cost nothing when nobody asks for metrics.

Written on the event loop only; a metrics page may read them from its own thread.
"""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class PublisherCounters:
    messages: int = 0
    bytes: int = 0  # of them
    repeats: int = 0  # the newest message once more, for a newcomer
    failures: Counter[str] = field(default_factory=Counter)  # messages that did not leave, by reason
    subscriptions: int = 0  # now
    refused_keys: int = 0  # clients whose key is not in the list
    newest: float = 0.0  # Unix time of the newest message; 0: none yet


@dataclass(slots=True)
class SubscriberCounters:
    """Of one endpoint."""

    messages: int = 0  # taken
    bytes: int = 0  # of them
    dropped: Counter[str] = field(default_factory=Counter)  # messages, by reason
    values_dropped: Counter[str] = field(default_factory=Counter)  # within messages that were taken, by reason
    restarts: int = 0  # of the publisher
    connected: bool = False
    connections: int = 0  # since the start
    handshake_failures: int = 0  # keys that one side or the other does not take
    newest: float = 0.0  # Unix time at which the newest message was made; 0: none yet
