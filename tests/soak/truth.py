"""What a kubelet has to know of a node: a function of what was done to the node. No I/O; `now` is an argument.

It knows from the documentation what devices are called and what makes them unhealthy, not from the programs under test.
For each id it says which of three states may be seen. More than one is possible only for a while, or for an id that
depends on the moment at which a plugin asked who holds it.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from soak.reach import Reach
from xpu_simulator.device import SimulatedDevice
from xpu_simulator.families.dlb.device import Dlb
from xpu_simulator.families.gpu.device import Gpu
from xpu_simulator.families.idxd.device import Dsa, Iaa
from xpu_simulator.families.npu.device import Npu
from xpu_simulator.families.sgx.device import Sgx
from xpu_simulator.level_zero.faults import WELL, Fault

HEALTHY, UNHEALTHY, ABSENT = "Healthy", "Unhealthy", "absent"
ENCLAVES = 110  # by default
UNDER_WAY = 2.0  # seconds for which a list made before a device was plugged in may still be on its way

Id = tuple[str, str]  # resource and id


def ids_of(device: SimulatedDevice) -> tuple[Id, ...]:
    """What a device is offered as."""
    match device:
        case Gpu():
            offered = device.driver in ("i915", "xe")
            return ((f"gpu.intel.com/{device.driver}", f"card{device.card}-0"),) if offered else ()
        case Dsa() | Iaa():
            if device.driver != "idxd":
                return ()
            namespace = "dsa.intel.com" if isinstance(device, Dsa) else "iaa.intel.com"
            return tuple(
                (f"{namespace}/wq-user-{queue.mode}", f"wq-user-{queue.mode}-wq{device.number}.{number}-0")
                for number, queue in enumerate(device.queues)
            )
        case Dlb():
            functions = device.virtual_functions
            kind = "vf" if functions else "pf"
            return tuple((f"dlb.intel.com/{kind}", f"/dev/dlb{part.number}") for part in functions or (device,))
        case Sgx():
            kinds = ("enclave", "provision")
            return tuple((f"sgx.intel.com/{kind}", f"sgx-{kind}-{n}") for kind in kinds for n in range(ENCLAVES))
        case Npu():
            return (("npu.intel.com/accel", f"accel{device.number}-0"),) if device.driver == "intel_vpu" else ()
    raise TypeError(f"nobody has said what {device.name} is offered as")


def ill(fault: Fault) -> bool:
    """Whether a GPU has to be out of service."""
    hot = fault.temperature is not None and fault.temperature > 100
    return bool(hot or fault.memory_health in ("critical", "replace") or fault.bus or fault.wedged or fault.lost)


def troubled(fault: Fault) -> bool:
    """Whether calls for a GPU do not come back, or not to whom made them."""
    return bool(fault.hang or fault.crash)


def reasons(fault: Fault) -> frozenset[str]:
    """By which names a GPU is out of service; one empty name for one in service."""
    hot = fault.temperature is not None and fault.temperature > 100
    found = {
        "temperature-global": hot,
        "temperature-gpu": hot,
        "memory-critical": fault.memory_health == "critical",
        "memory-replace": fault.memory_health == "replace",
        "bus-speed": fault.bus,
        "wedged": fault.wedged,
        "device-lost": fault.lost,
    }
    return frozenset(name for name, holds in found.items() if holds) or frozenset({""})


@dataclass
class Truth:
    """`present` are the devices that are there, by name."""

    present: dict[str, SimulatedDevice]
    pods: dict[str, frozenset[Id]] = field(default_factory=dict)  # what each holds
    _gone: dict[Id, frozenset[str]] = field(default_factory=dict)  # ids without a device: what may be seen of them
    _spoken_for: set[str] = field(
        default_factory=set
    )  # resources the plugin knows; others the kubelet remembers a while
    _listed: set[Id] = field(default_factory=set)  # what the plugin has surely seen since it was started
    faults: dict[str, Fault] = field(default_factory=dict)
    reach: Reach = field(default_factory=Reach)
    _plugged_at: dict[str, float] = field(default_factory=dict)  # by name of the device
    _told: dict[str, bool] = field(default_factory=dict)  # whether a GPU is ill as far as its plugin has surely heard

    @property
    def held(self) -> frozenset[Id]:
        return frozenset().union(*self.pods.values())

    def expected(self, now: float) -> Mapping[Id, frozenset[str]]:
        """Every id that was ever listed, and the states in which it may be seen."""
        states = {
            id_: found if id_[0] in self._spoken_for else frozenset({UNHEALTHY, ABSENT})
            for id_, found in self._gone.items()
        }
        for name, device in self.present.items():
            states |= dict.fromkeys(ids_of(device), self._health(name, now))
        return states

    def reasons(self, now: float) -> Mapping[Id, frozenset[str]]:
        """Why each id has to be what it is, for those of which that is known; one reason, empty, for healthy ones."""
        found = {}
        for id_, states in self.expected(now).items():
            if id_ in self._gone and states == {UNHEALTHY}:
                found[id_] = frozenset({"gone"})
        for name, device in self.present.items():
            if self.reach.sure(name, now):
                found |= dict.fromkeys(ids_of(device), reasons(self.fault_of(name)))
        return found

    @property
    def resources(self) -> Collection[str]:
        """Those that the plugin has surely heard of."""
        return self._spoken_for

    @property
    def in_trouble(self) -> frozenset[str]:
        """GPUs whose calls hang or crash now."""
        return frozenset(name for name, fault in self.faults.items() if troubled(fault))

    def surely_free(self, resource: str, now: float) -> int:
        """How many devices a pod has to get.

        One that was pulled out and is back at once does not count: the list without it may still come.
        """
        healthy = {id_ for id_, states in self.expected(now).items() if states == {HEALTHY} and id_[0] == resource}
        fresh = {
            id_
            for name, device in self.present.items()
            if now - self._plugged_at.get(name, -UNDER_WAY) < UNDER_WAY
            for id_ in ids_of(device)
        }
        return len(healthy - self.held - fresh)

    def seen(self, now: float) -> None:
        """All was seen to be as it has to be."""
        self.reach.seen(now)
        self._listed |= {id_ for device in self.present.values() for id_ in ids_of(device)}
        self._spoken_for |= {resource for resource, _ in self._listed}
        self._told |= {
            name: ill(self.fault_of(name))
            for name, device in self.present.items()
            if self.reach.sure(name, now) and ids_of(device)
        }

    def plugged(self, name: str, device: SimulatedDevice, now: float) -> None:
        for id_ in ids_of(device):
            self._gone.pop(id_, None)
        self.present[name] = device
        self._plugged_at[name] = now
        self._replugged(name, device, now)

    def pulled(self, name: str, now: float) -> None:
        device = self.present.pop(name)
        for id_ in ids_of(device):
            self._gone[id_] = frozenset({UNHEALTHY} if id_ in self._listed else {UNHEALTHY, ABSENT})
            if isinstance(device, Sgx):  # its ids only count: they stay as long as they are known to be held
                self._gone[id_] = frozenset({UNHEALTHY, ABSENT} if id_ in self.held else {ABSENT})
        self._replugged(name, device, now)

    def rebound(self, name: str, device: SimulatedDevice, now: float) -> None:
        self.pulled(name, now)
        self.plugged(name, device, now)

    def faulted(self, name: str, fault: Fault, now: float) -> None:
        before, self.faults[name] = self.fault_of(name), fault
        if troubled(before) or troubled(fault):
            self.reach.troubled(name, now, crashing=bool(before.crash or fault.crash))
        if not troubled(fault):  # of one that does not answer nothing new is told
            self._told.pop(name, None)

    def sidecar_restarted(self, now: float) -> None:
        """It asks the driver anew, at once."""
        self.reach.restarted(now, self.in_trouble)

    def plugin_restarted(self) -> None:
        """It has forgotten what is gone and what it was told; it asks the kubelet who holds what."""
        self._told.clear()
        self._spoken_for.clear()
        self._listed.clear()
        for id_, states in self._gone.items():
            if id_ not in self.held:
                self._gone[id_] = frozenset({ABSENT})
            elif ABSENT in states:
                self._gone[id_] = frozenset({UNHEALTHY, ABSENT})

    def deleted(self, pod: str) -> None:
        """Nothing a plugin has listed goes with it, but it may not have heard of the holder before."""
        for id_ in self.pods.pop(pod, frozenset()) & self._gone.keys():
            self._gone[id_] = frozenset({UNHEALTHY, ABSENT})

    def _replugged(self, name: str, device: SimulatedDevice, now: float) -> None:
        if isinstance(device, Gpu):
            self.reach.replugged(name, now, crashing=any(fault.crash for fault in self.faults.values()))

    def _health(self, name: str, now: float) -> frozenset[str]:
        truly = ill(self.fault_of(name))
        if not self.reach.sure(name, now) and self._told.get(name) != truly:
            return frozenset({HEALTHY, UNHEALTHY})
        return frozenset({UNHEALTHY if truly else HEALTHY})

    def fault_of(self, name: str) -> Fault:
        return self.faults.get(name, WELL)


def differences(expected: Mapping[Id, Collection[str]], seen: Mapping[Id, str]) -> Iterable[str]:
    """What is not as it has to be, in words."""
    for id_ in sorted(expected.keys() | seen.keys()):
        allowed, found = expected.get(id_, (ABSENT,)), seen.get(id_, ABSENT)
        if found not in allowed:
            yield f"{id_[0]} {id_[1]} is {found}, expected {' or '.join(sorted(allowed))}"
