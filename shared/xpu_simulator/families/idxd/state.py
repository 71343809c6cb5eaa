"""The state of one idxd device: what its attributes in sysfs say, a mapping for each of its directories.

Immutable values: whoever configures a device by writing to its attributes makes another state of it, and what the
trees then have to change is the difference of the two.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

Attributes = Mapping[str, str]

DRIVER_OF_TYPE = {"user": "user", "kernel": "dmaengine"}  # where a queue names none itself
OPERATIONS = {  # bit lists as the kernel prints them, of the first generation
    "dsa": "00000000,00000000,00000000,00000000,00000000,00000000,00000001,003f03ff",
    "iax": "00000000,00000000,00000000,00000000,00000000,00007f33,0000001c,00000004",
}
MAX_TRANSFER_SIZE, MAX_BATCH_SIZE, MAX_READ_BUFFERS = 2147483648, 1024, 96
ERRORS = "00000000,00000000,00000000,00000000"

# What older kernels call these.
TOKENS: Attributes = {
    "max_read_buffers": "max_tokens",
    "read_buffer_limit": "token_limit",
    "read_buffers_reserved": "tokens_reserved",
    "read_buffers_allowed": "tokens_allowed",
    "use_read_buffer_limit": "use_token_limit",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkQueue:
    """As the kernel makes one, disabled and in no group."""

    number: int
    enabled: bool = False
    mode: str = "shared"
    type: str = "none"
    name: str = ""
    driver_name: str = ""
    group: int = -1
    size: int = 0
    priority: int = 0
    threshold: int = 0
    block_on_fault: bool = False
    ats_disable: bool = False
    prs_disable: bool = False
    max_transfer_size: int = 2097152
    max_batch_size: int = 32
    op_config: str = ""  # empty: all that its device can do
    clients: int = 0

    @property
    def driver(self) -> str:
        """The driver it is bound to while it is enabled."""
        return self.driver_name or DRIVER_OF_TYPE.get(self.type, self.type)

    @property
    def has_file(self) -> bool:
        return self.enabled and self.driver == "user"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    read_buffers_reserved: int = 0
    read_buffers_allowed: int = MAX_READ_BUFFERS
    use_read_buffer_limit: bool = False
    traffic_class_a: int = 1
    traffic_class_b: int = 1
    desc_progress_limit: int = 0
    batch_progress_limit: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class IdxdState:
    kind: str  # dsa or iax
    number: int
    numa_node: int
    major: int  # of the character devices of its kind
    state: str = "enabled"
    pasid_enabled: bool = True
    max_work_queues: int = 8
    max_groups: int = 4
    max_engines: int = 4
    max_work_queues_size: int = 128
    queues: tuple[WorkQueue, ...] = ()  # those that are not as the kernel makes them
    engines: Mapping[int, int] = field(default_factory=dict)  # an engine's number to its group's
    groups: Mapping[int, Group] = field(default_factory=dict)  # those that are not as the kernel makes them
    read_buffer_limit: int = 0
    version: int = 0x100
    configurable: bool = True
    command_status: int = 0
    tokens: bool = False  # whether the kernel calls read buffers tokens

    @property
    def name(self) -> str:
        return f"{self.kind}{self.number}"

    @property
    def all_queues(self) -> Iterator[WorkQueue]:
        configured = {queue.number: queue for queue in self.queues}
        for number in range(self.max_work_queues):
            yield configured.get(number, WorkQueue(number=number))

    def queue_name(self, queue: WorkQueue) -> str:
        return f"wq{self.number}.{queue.number}"

    def number_of_file(self, queue: WorkQueue) -> str:
        """The kernel gives a queue the next free minor number; here each has its own for good."""
        return f"{self.major}:{self.number * self.max_work_queues + queue.number}"

    def directories(self) -> Iterator[tuple[str, Attributes]]:
        """Names and attributes of what is in the device's own directory, in the order in which it appears."""
        for number in range(self.max_engines):
            yield f"engine{self.number}.{number}", {"group_id": str(self.engines.get(number, -1))}
        for number in range(self.max_groups):
            yield f"group{self.number}.{number}", self._group(number)
        for queue in self.all_queues:
            yield self.queue_name(queue), self._queue(queue)

    def device(self) -> Attributes:
        dsa = {
            "max_batch_size": str(MAX_BATCH_SIZE),
            "max_read_buffers": str(MAX_READ_BUFFERS),
            "read_buffer_limit": str(self.read_buffer_limit),
        }
        return {
            "state": self.state,
            "clients": str(sum(queue.clients for queue in self.queues)),
            "numa_node": str(self.numa_node),
            "max_groups": str(self.max_groups),
            "max_engines": str(self.max_engines),
            "max_work_queues": str(self.max_work_queues),
            "max_work_queues_size": str(self.max_work_queues_size),
            "max_transfer_size": str(MAX_TRANSFER_SIZE),
            "version": f"{self.version:#x}",
            "gen_cap": "0x40915f0107" if self.kind == "dsa" else "0x71f10901f0105",
            "op_cap": OPERATIONS[self.kind],
            "errors": ERRORS,
            "configurable": str(int(self.configurable)),
            "pasid_enabled": str(int(self.pasid_enabled)),
            "cdev_major": str(self.major),
            "cmd_status": f"{self.command_status:#x}",
            **(self._spelled(dsa) if self.kind == "dsa" else {}),
        }

    def _spelled(self, attributes: Attributes) -> Attributes:
        return {TOKENS.get(key, key): text for key, text in attributes.items()} if self.tokens else attributes

    def _group(self, number: int) -> Attributes:
        engines = (f"engine{self.number}.{engine}" for engine, group in sorted(self.engines.items()) if group == number)
        queues = (self.queue_name(queue) for queue in self.queues if queue.group == number)
        group = self.groups.get(number, Group())
        dsa = {
            "read_buffers_reserved": str(group.read_buffers_reserved),
            "read_buffers_allowed": str(group.read_buffers_allowed),
            "use_read_buffer_limit": str(int(group.use_read_buffer_limit)),
        }
        return {
            "engines": " ".join(engines),
            "work_queues": " ".join(queues),
            "traffic_class_a": str(group.traffic_class_a),
            "traffic_class_b": str(group.traffic_class_b),
            "desc_progress_limit": str(group.desc_progress_limit),
            "batch_progress_limit": str(group.batch_progress_limit),
            **(self._spelled(dsa) if self.kind == "dsa" else {}),
        }

    def _queue(self, queue: WorkQueue) -> Attributes:
        dsa = {"max_batch_size": str(queue.max_batch_size)}
        file = {"cdev_minor": self.number_of_file(queue).partition(":")[2]} if queue.has_file else {}
        return {
            "state": "enabled" if queue.enabled else "disabled",
            "mode": queue.mode,
            "type": queue.type,
            "name": queue.name,
            "driver_name": queue.driver_name,
            "group_id": str(queue.group),
            "size": str(queue.size),
            "priority": str(queue.priority),
            "threshold": str(queue.threshold),
            "block_on_fault": str(int(queue.block_on_fault)),
            "ats_disable": str(int(queue.ats_disable)),
            "prs_disable": str(int(queue.prs_disable)),
            "max_transfer_size": str(queue.max_transfer_size),
            "enqcmds_retries": "0",
            "op_config": queue.op_config or OPERATIONS[self.kind],
            "clients": str(queue.clients),
            "occupancy": "0",
            **(dsa if self.kind == "dsa" else {}),
            **file,
        }
