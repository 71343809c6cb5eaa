"""A DSA or IAA device as its owner describes it. Without a word about queues it has what the default layout gives."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, model_validator

from xpu_simulator.families.idxd.state import IdxdState, WorkQueue
from xpu_simulator.fields import Name, NumaNode, numbered

QUEUES, GROUPS, SIZES = 8, 4, 128  # of the usual part
LAST_NUMBER = 127
# The buses of a two-socket Xeon's eight DSA and IAA pairs.
BUSES = ("6a", "6f", "74", "79", "e7", "ec", "f1", "f6")

Number = Annotated[int, Field(strict=True, ge=0, le=LAST_NUMBER)]
QueueName = Annotated[str, Field(max_length=1023, pattern=r"^[^\n\x00]*$")]


def _driver(data: Mapping[str, object]) -> str:
    return "user" if data["type"] == "user" else ""


def _threshold(data: Mapping[str, object]) -> int:
    size = data["size"]
    return size if data["mode"] == "shared" and isinstance(size, int) else 0


class QueueDescription(BaseModel):
    """One queue, enabled, dedicated and for programs if nothing is said."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    queue: Annotated[int, Field(strict=True, ge=0, lt=QUEUES)] = 0
    enabled: StrictBool = True
    mode: Literal["dedicated", "shared"] = "dedicated"
    type: Literal["user", "kernel", "none"] = "user"
    name: QueueName = ""
    driver_name: Annotated[str, Field(pattern=r"^[a-z_]{0,32}$")] = Field(default_factory=_driver)
    group: Annotated[int, Field(strict=True, ge=-1, lt=GROUPS)] = Field(
        default_factory=lambda data: data["queue"] % GROUPS
    )
    size: Annotated[int, Field(strict=True, ge=0, le=SIZES)] = 16
    priority: Annotated[int, Field(strict=True, ge=0, le=15)] = 10
    threshold: Annotated[int, Field(strict=True, ge=0, le=SIZES)] = Field(default_factory=_threshold)
    block_on_fault: StrictBool = True

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.threshold > self.size:
            raise ValueError(f"threshold {self.threshold} is above size {self.size}")
        if self.threshold and self.mode == "dedicated":
            raise ValueError(f"threshold {self.threshold}: only a shared queue has one")
        if self.enabled and (self.group < 0 or not self.size or not self.priority or self.type == "none"):
            raise ValueError("an enabled queue needs a type, a group, a size and a priority above 0")
        return self


def _default_queues() -> list[QueueDescription]:
    return [QueueDescription(queue=number) for number in range(GROUPS)]


class IdxdDescription(BaseModel):
    """What DSA and IAA have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: ClassVar[str]  # as the kernel names a device before its number
    major: ClassVar[int]

    number: Number = 0
    name: Name = Field(default_factory=lambda data: f"device{data['number']}")  # what scenarios call it
    numa_node: NumaNode = -1
    pasid_enabled: StrictBool = True
    state: Literal["enabled", "disabled", "halted"] = "enabled"
    queues: Annotated[list[QueueDescription], numbered("queue"), Field(max_length=QUEUES)] = Field(
        default_factory=_default_queues
    )

    @model_validator(mode="after")
    def _queues_fit(self) -> Self:
        numbers = [queue.queue for queue in self.queues]
        twice = next((number for number in numbers if numbers.count(number) > 1), None)
        if twice is not None:
            raise ValueError(f"queue {twice} is described twice")
        sizes = sum(queue.size for queue in self.queues)
        if sizes > SIZES:
            raise ValueError(f"the queues' sizes sum to {sizes}, a device has {SIZES}")
        if self.state != "enabled" and any(
            queue.enabled for queue in self.queues if "enabled" in queue.model_fields_set
        ):
            raise ValueError(f"a device that is {self.state} has no enabled queues")
        if not self.pasid_enabled and any(queue.enabled and queue.type == "user" for queue in self.queues):
            raise ValueError("without pasid_enabled no queue of type user can be enabled")
        return self

    @property
    def idxd_state(self) -> IdxdState:
        """What the kernel shows of it."""
        return IdxdState(
            kind=self.kind,
            number=self.number,
            numa_node=self.numa_node,
            major=self.major,
            state=self.state,
            pasid_enabled=self.pasid_enabled,
            max_work_queues=QUEUES,
            max_groups=GROUPS,
            max_work_queues_size=SIZES,
            queues=tuple(sorted((self._queue(queue) for queue in self.queues), key=lambda queue: queue.number)),
            engines={number: number for number in range(GROUPS)},
        )

    def _queue(self, queue: QueueDescription) -> WorkQueue:
        return WorkQueue(
            number=queue.queue,
            enabled=queue.enabled and self.state == "enabled",
            mode=queue.mode,
            type=queue.type,
            name=queue.name or f"app{self.number}{queue.queue}",
            driver_name=queue.driver_name,
            group=queue.group,
            size=queue.size,
            priority=queue.priority,
            threshold=queue.threshold,
            block_on_fault=queue.block_on_fault,
        )


def pci_address(number: int, device: int) -> str:
    """Where a device is if nothing is said: DSA and IAA sit in pairs, one behind the other."""
    domain, pair = divmod(number // 2, len(BUSES))
    return f"{domain:04x}:{BUSES[pair]}:{device:02x}.0"


def every_second(first: int) -> BeforeValidator:
    """Numbers of devices: DSA and IAA share them, and a node's DSA devices have every second one."""

    def last(entry: object, free: int) -> int:
        found = entry.get("number") if isinstance(entry, dict) else getattr(entry, "number", free)
        return found + 1 if isinstance(found, int) else free

    return numbered("number", last, first=first)
