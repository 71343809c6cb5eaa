"""What is known of each GPU's health: its judgement, and until when that counts as known.

A GPU is known by its PCI address. A source's messages may name any address; only cards that a scan has seen are judged.
It is for one thread at a time.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from xpu_shared.device import Health
from xpu_shared.health import UNKNOWN, Evidence, Finding, Judgement, judge
from xpu_shared.program.logs import Changes, Log

PATIENCE = 60.0  # seconds between two measurements that still count as one time of being well
SILENCE = "nothing tells of its health"
NO_ADDRESS = "its health is not known: the card has no PCI address"

log = Log("gpu health")


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one message of a source says of one GPU."""

    findings: Mapping[str, Finding]  # by condition
    known_for: float  # seconds from now that the GPU counts as known; 0: the message says nothing of its health
    validity: float = 0.0  # seconds that the message is good for; sources that speak seldom are good for longer
    exhaustive: bool = False  # conditions that it does not mention are clear
    warnings: tuple[str, ...] = ()
    uuid: str = ""  # of the GPU at the address; empty: not known


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What is told of a GPU's health."""

    health: Health = Health.HEALTHY
    conditions: tuple[str, ...] = ()  # those that hold, and `unknown`
    text: str = ""


@dataclass(slots=True)
class _Gpu:
    judgement: Judgement = field(default_factory=Judgement)
    uuid: str = ""
    known_until: float = 0.0  # monotonic seconds
    told: Opinion = field(default_factory=Opinion)
    warnings: Changes = field(default_factory=Changes)


class Judges:
    def __init__(self, *, dwell: float, unknown_is_bad: bool = False) -> None:
        """Begin without any GPU.

        Args:
            dwell: seconds, as of `judge`.
            unknown_is_bad: take a GPU out that nothing tells of.
        """
        self._dwell = dwell
        self._unknown_is_bad = unknown_is_bad
        self._gpus: dict[str, _Gpu] = {}
        self._newest: dict[str, tuple[Mapping[str, Look], float]] = {}  # message of each source, and when it came

    def expect(self, addresses: Iterable[str], now: float) -> None:
        """A scan has seen these cards. What was said of them before it counts."""
        for address in addresses:
            if address not in self._gpus:
                self._gpus[address] = _Gpu()
                for looks, then in self._newest.values():
                    self._take({address: looks[address]} if address in looks else {}, then)
        self._expire(now)
        self._tell(now)

    def take(self, source: str, looks: Mapping[str, Look], now: float) -> bool:
        """What a message says; True when what is told of a GPU changed."""
        self._newest[source] = (looks, now)
        self._take(looks, now)
        self._expire(now)
        return self._tell(now)

    def expire(self, now: float) -> bool:
        """Time has passed; True when what is told of a GPU changed."""
        self._expire(now)
        return self._tell(now)

    def next_expiry(self, now: float) -> float | None:
        """When the next GPU will count as unknown, in monotonic seconds."""
        return min((gpu.known_until for gpu in self._gpus.values() if gpu.known_until > now), default=None)

    def opinion(self, address: str | None, now: float) -> Opinion:
        """What is told of a GPU.

        Args:
            address: None for a card without one.
        """
        if address is None:
            health = Health.UNHEALTHY if self._unknown_is_bad else Health.HEALTHY
            return Opinion(health=health, conditions=(UNKNOWN,), text=NO_ADDRESS)
        gpu = self._gpus.get(address) or _Gpu()
        reasons = gpu.judgement.reasons
        if gpu.known_until <= now:
            reasons[UNKNOWN] = SILENCE
        return Opinion(
            health=gpu.judgement.health,
            conditions=tuple(sorted(reasons)),
            text="; ".join(f"{name}: {text}" for name, text in sorted(reasons.items())),
        )

    def _take(self, looks: Mapping[str, Look], now: float) -> None:
        for address, look in looks.items():
            if (gpu := self._gpus.get(address)) is not None:
                self._take_one(address, gpu, look, now)

    def _take_one(self, address: str, gpu: _Gpu, look: Look, now: float) -> None:
        if look.uuid and gpu.uuid not in ("", look.uuid):  # another GPU is at the address now
            gpu.judgement = Judgement()
        gpu.uuid = look.uuid or gpu.uuid
        findings = dict(look.findings)
        if look.exhaustive:
            findings = {name: Finding(evidence=Evidence.CLEAR) for name in gpu.judgement.conditions} | findings
        if look.known_for > 0:
            gpu.known_until = max(gpu.known_until, now + look.known_for)
            findings[UNKNOWN] = Finding(evidence=Evidence.CLEAR)
        else:
            findings.pop(UNKNOWN, None)
        gpu.judgement = self._judge(gpu, findings, now, patience=max(PATIENCE, look.validity))
        change = gpu.warnings.report(look.warnings)
        for text in change.new:
            log.warning("a GPU is not quite well", gpu=address, about=text)
        for text in change.gone:
            log.info("no longer", gpu=address, about=text)

    def _expire(self, now: float) -> None:
        """Take out what nothing tells of, if that is wished."""
        if not self._unknown_is_bad:
            return
        silence = {UNKNOWN: Finding(evidence=Evidence.BAD, text=SILENCE)}
        for gpu in self._gpus.values():
            if gpu.known_until <= now:
                gpu.judgement = self._judge(gpu, silence, now)

    def _judge(
        self, gpu: _Gpu, findings: Mapping[str, Finding], now: float, *, patience: float = PATIENCE
    ) -> Judgement:
        return judge(gpu.judgement, findings, dwell=self._dwell, patience=patience, now=now)

    def _tell(self, now: float) -> bool:
        """One line in the log for each GPU of which something else is told now; True when there is one."""
        changed = False
        for address, gpu in self._gpus.items():
            told, gpu.told = gpu.told, self.opinion(address, now)
            if (told.health, told.conditions) == (gpu.told.health, gpu.told.conditions):
                continue
            changed = True
            write: Callable[..., None] = log.warning if gpu.told.conditions else log.info
            write("health changed", gpu=address, health=gpu.told.health, reason=gpu.told.text or "it is well")
        return changed
