"""One device, sampled round after round: each group of values at its own period, to one reading."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol

from xpu_shared.telemetry.kinds import Group
from xpu_shared.telemetry.readings import DeviceReading, DeviceState, GroupStatus, ResultError
from xpu_sidecars.level_zero import results, verdicts
from xpu_sidecars.level_zero.calls import Calls, DeviceLostError, Tally
from xpu_sidecars.level_zero.groups.component import DeviceHandle
from xpu_sidecars.level_zero.groups.engines import Engines
from xpu_sidecars.level_zero.groups.fabric import FabricPorts
from xpu_sidecars.level_zero.groups.firmware import Firmwares
from xpu_sidecars.level_zero.groups.frequency import Frequencies
from xpu_sidecars.level_zero.groups.memory import Memory
from xpu_sidecars.level_zero.groups.pci import Pci
from xpu_sidecars.level_zero.groups.power import Power
from xpu_sidecars.level_zero.groups.ras import RasErrors
from xpu_sidecars.level_zero.groups.state import State
from xpu_sidecars.level_zero.groups.temperature import Temperatures
from xpu_sidecars.level_zero.identity import Identity, UnidentifiedError, identify
from xpu_sidecars.level_zero.library import Library

SLOW, RARE = 5.0, 600.0  # seconds, if that is longer than the sampling interval


class Sampled(Protocol):
    def sample(self, calls: Calls) -> Any:
        """The group's values, as the reading has them. May raise DeviceLostError."""


class _Group:
    """A group at its period, with what it last told."""

    def __init__(self, group: Group, field: str, source: Sampled, period: float) -> None:
        self.group = group
        self.field = field  # of the reading
        self.tally = Tally()
        self.sampled_at: float | None = None
        self.value: Any = None
        self._source = source
        self._period = period
        self._due = float("-inf")

    def sample(self, calls: Calls, slack: float) -> None:
        """Sample if it is time. What cannot be read keeps its old value, whose age tells."""
        if calls.now < self._due:
            return
        self._due = calls.now + self._period - slack
        self.tally = calls.begin_group(self.group)
        value = self._source.sample(calls)
        if self.tally.good or self.value is None:
            self.value = value
        if self.tally.good:
            self.sampled_at = calls.now

    def status(self, now: float) -> GroupStatus:
        code = self.tally.last_error
        return GroupStatus(
            age=None if self.sampled_at is None else now - self.sampled_at,
            last_error=ResultError(code=code, text=results.text(code)) if code else None,
        )


def _described(identity: Identity, handles: int) -> DeviceReading:
    """What does not change of a device with so many handles, by what the first of them says."""
    return DeviceReading(
        pci_address=identity.pci_address,
        uuid=identity.uuid,
        vendor_id=identity.vendor_id,
        device_id=identity.device_id,
        model=identity.model,
        serial_number=identity.serial_number,
        driver_version=identity.driver_version,
        integrated=identity.integrated,
        subdevices=identity.subdevices if identity.subdevice is None else handles,
    )


class SampledDevice:
    """`handles` are those of one PCI address; used by one thread at a time."""

    def __init__(
        self, library: Library, handles: Sequence[Identity], interval: float, groups: Sequence[Group] = ()
    ) -> None:
        """`groups` are those to sample; none: all but the fabric, which takes another sidecar's child."""
        first = handles[0]
        self.calls = Calls(library)
        self._library = library
        self._identity = first
        self._identify_at = float("-inf")
        self._handles = len(handles)
        self._slack = interval / 2  # rounds come a little early or late
        self._lost_rounds = 0
        devices = [DeviceHandle(identity.handle, identity.subdevice) for identity in handles]
        slow, rare = max(interval, SLOW), max(interval, RARE)
        self._state = _Group(Group.STATE, "state", State(devices), interval)
        self._pci = _Group(Group.PCI, "pci", Pci(devices), interval)
        self._memory = _Group(Group.MEMORY, "memory", Memory(devices), interval)
        known = (  # what health depends on comes first
            self._state,
            _Group(Group.TEMPERATURE, "temperatures", Temperatures(devices), interval),
            self._memory,
            self._pci,
            _Group(Group.POWER, "power", Power(devices), interval),
            _Group(Group.FREQUENCY, "frequencies", Frequencies(devices), interval),
            _Group(Group.ENGINE, "engines", Engines(devices), interval),
            _Group(Group.RAS, "ras", RasErrors(devices), slow),
            _Group(Group.FIRMWARE, "firmwares", Firmwares(devices), rare),
            _Group(Group.FABRIC, "fabric_ports", FabricPorts(devices, first.pci_address), interval),
        )
        wanted = groups or [group.group for group in known if group.group is not Group.FABRIC]
        self._groups = tuple(group for group in known if group.group in wanted)

    def round(self, now: float) -> DeviceReading:
        """Sample what is due at `now`, in monotonic seconds."""
        self.calls.begin_round(now)
        self._complete_identity(now)
        try:
            for group in self._groups:
                group.sample(self.calls, self._slack)
        except DeviceLostError:
            self._lost_rounds += 1
        else:
            self._lost_rounds = 0
        known = _described(self._identity, self._handles)
        values = {group.field: group.value for group in self._groups if group.value is not None}
        values["state"] = state = self._device_state()
        return replace(
            known,
            **values,
            memory_ok=verdicts.memory(self._memory.value or (), integrated=known.integrated),
            bus_ok=verdicts.bus(values.get("pci", known.pci)),
            soc_ok=verdicts.soc(state, answered=self.calls.answered),
            groups={group.group: group.status(now) for group in self._groups},
        )

    @property
    def tallies(self) -> dict[Group, Tally]:
        return {group.group: group.tally for group in self._groups}

    def _complete_identity(self, now: float) -> None:
        """Ask anew who it is, if it slept or was in trouble when it was asked."""
        if self._identity.complete or now < self._identify_at:
            return
        self._identify_at = now + SLOW
        with suppress(UnidentifiedError):
            found = identify(self._library, self._identity.handle)
            if found.pci_address == self._identity.pci_address:
                self._identity = found

    def _device_state(self) -> DeviceState:
        """The driver's word, and what the results of this round's calls say."""
        state: DeviceState = self._state.value or DeviceState()
        calls = self.calls
        answered = calls.answered or calls.reset_required or calls.survivability
        return replace(
            state,
            reset_required=calls.reset_required if answered else None,
            survivability_mode=calls.survivability if answered else None,
            lost_rounds=self._lost_rounds if answered or calls.lost else None,
        )
