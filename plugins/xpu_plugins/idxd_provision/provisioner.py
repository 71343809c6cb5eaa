"""The provisioner of DSA and IAA as its program runs it: which devices there are, and each one's plan."""

import os
import stat
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from xpu_plugins.idxd_provision import functions
from xpu_plugins.idxd_provision.choice import layout
from xpu_plugins.idxd_provision.command_status import explanation
from xpu_plugins.idxd_provision.device import DRIVERS, Device, device_names, read_device
from xpu_plugins.idxd_provision.layout import Layout
from xpu_plugins.idxd_provision.planning import Difference, changing, differences, way_back
from xpu_plugins.idxd_provision.rules import Wish, wish
from xpu_plugins.idxd_provision.settings import IdxdProvisioningSettings, Surroundings
from xpu_shared.idxd.tree import BUS
from xpu_shared.kernel.device_files import is_simulated
from xpu_shared.program.logs import Log
from xpu_shared.provisioning.engine import Clock
from xpu_shared.provisioning.plan import DevicePlan, LayoutError, RefusedError, Result, Unit
from xpu_shared.provisioning.sysfs import Sysfs, reason

SHOWN_AT_ONCE = 8  # differences of a device
FILE_PATIENCE = 5.0  # seconds for the files of all queues together
LOOK_AGAIN = 0.05

log = Log("idxd")


class IdxdProvisioner:
    def __init__(
        self, settings: IdxdProvisioningSettings, sysfs: Sysfs, environment: Mapping[str, str] = os.environ
    ) -> None:
        """UsageError when the environment says something that cannot be used."""
        self._settings = settings
        self._sysfs = sysfs
        self._surroundings = Surroundings.of(environment, settings.driver)
        self._layout = Layout(file="", entries={})
        self._told_none = False

    def plans(self) -> Sequence[DevicePlan]:
        driver, kind = self._surroundings.driver, self._surroundings.kind
        if driver == functions.VFIO:
            given = self._functions(driver)
            if not given:
                ids = ",".join(sorted(self._surroundings.pci_ids))
                self._tell_once("no functions", directory=self._settings.sysfs_root / functions.FUNCTIONS, ids=ids)
            return given
        self._read_layout()
        bound = self._functions_for_idxd() if kind != "iaa" else []
        back = [plan for plan in bound if plan.result is not Result.UNCHANGED]
        names = [name for kind in sorted(self._layout.kinds) for name in device_names(self._sysfs, kind)]
        names.sort(key=lambda name: int(name.lstrip("dsaix")))
        plans = [self.plan(name) for name in names if self._layout.entry(name) is not None]
        if not names:
            kinds = ",".join(sorted(self._layout.kinds))
            self._tell_once("no devices", directory=self._settings.sysfs_root / BUS, kinds=kinds)
        absent = [dev for dev in self._layout.entries if not dev.endswith("X") and dev not in names]
        return [*back, *plans, *(self._absent(dev) for dev in absent)]

    def plan(self, device: str) -> DevicePlan:
        bindings: Sequence[DevicePlan] = ()
        if self._surroundings.driver == functions.VFIO:
            bindings = self._functions(functions.VFIO)
        elif ":" in device:  # a function's address
            bindings = self._functions_for_idxd()
        for plan in bindings:
            if plan.device == device:
                return plan
        try:
            found = read_device(self._sysfs, device)
        except OSError as error:
            return DevicePlan(device=device, result=Result.FAILED, messages=(f"it has gone: {reason(error)}",))
        try:
            return self._planned(found)
        except RefusedError as error:
            return DevicePlan(device=device, result=Result.REFUSED, messages=(str(error),))

    def settle(self, changed: Collection[str], clock: Clock) -> Sequence[str]:
        """Wait for the files of the changed devices' queues, which devtmpfs and udev make."""
        files = [file for name in changed if ":" not in name for file in self._files(name)]
        until = clock.monotonic() + FILE_PATIENCE
        while (missing := [file for file in files if not self._is_there(file)]) and clock.monotonic() < until:
            clock.sleep(LOOK_AGAIN)
        texts = [f"{file} is missing: mount the host's /dev, or ask why devtmpfs has not made it" for file in missing]
        links = [link for file in files if file not in missing and (link := self._link(file)) and not link.exists()]
        texts += [f"{link} is missing: udev is not running" for link in links]
        return texts[:SHOWN_AT_ONCE] + (
            [f"and {len(texts) - SHOWN_AT_ONCE} more"] if len(texts) > SHOWN_AT_ONCE else []
        )

    def _tell_once(self, text: str, **values: object) -> None:
        if not self._told_none:
            self._told_none = True
            log.info(text, **values)

    def _read_layout(self) -> None:
        node_name, settings = self._surroundings.node_name, self._settings
        found = layout(self._surroundings.kind, node_name, settings.conf_dir, settings.config)
        if found.file != self._layout.file:
            log.info("uses a layout", file=found.file)
        self._layout = found

    def _planned(self, device: Device) -> DevicePlan:
        entry = self._layout.entry(device.name)
        if entry is None:
            return DevicePlan(device=device.name, result=Result.UNCHANGED)
        wished = wish(device, entry, self._layout.file)
        pending = differences(device, wished)
        if not pending:
            return DevicePlan(device=device.name, result=Result.UNCHANGED, messages=wished.notes)
        if device.clients and self._settings.on_busy != "force":
            text = f"{device.name} has {device.clients} clients; pending change: {_listed(pending)}"
            wrong = self._settings.on_busy == "fail"
            return DevicePlan(device=device.name, result=Result.BUSY, messages=(text,), busy_is_wrong=wrong)
        driver = self._device_driver(device, wished)
        unit = Unit(
            writes=tuple(changing(device, wished, driver)),
            undo=way_back(device, driver),
            explain=lambda sysfs, write, error: explanation(sysfs, write, error, device.name),
        )
        return DevicePlan(device=device.name, result=Result.CHANGE, units=(unit,), messages=wished.notes)

    def _device_driver(self, device: Device, wished: Wish) -> str:
        """The driver that devices are bound to, once it is known that those of the queues are there too.

        Kernels before 5.15 have one driver, dsa, for both.
        """
        try:
            drivers = self._sysfs.names(DRIVERS)
        except FileNotFoundError:
            return "idxd"
        if "idxd" not in drivers:
            return "dsa"
        for number, driver in wished.drivers.items():
            if driver not in drivers:
                place = self._settings.sysfs_root / DRIVERS / driver
                text = f"{device.queue(number)}: driver_name {driver}: {place} is missing: is its module loaded?"
                raise RefusedError(f"{self._layout.file}: {device.name}: {text}")
        return "idxd"

    def _functions(self, driver: str) -> list[DevicePlan]:
        """The plans that bind DSA functions to the driver; RefusedError as LayoutError when it is not there."""
        try:
            functions.check_driver(self._sysfs, driver, self._settings.sysfs_root)
        except RefusedError as error:
            raise LayoutError(str(error)) from None
        return [
            functions.plan(function, driver, self._sysfs, self._settings.dev_root, on_busy=self._settings.on_busy)
            for function in functions.read_functions(self._sysfs, self._surroundings.pci_ids)
        ]

    def _functions_for_idxd(self) -> list[DevicePlan]:
        """The plans that bring functions back: all when that is asked for, else those that were given to vfio-pci.

        An override stays behind when a run in the other mode is killed, and when it has done its work.
        """
        if self._surroundings.driver is not None:
            return self._functions(self._surroundings.driver)
        found = functions.read_functions(self._sysfs, self._surroundings.pci_ids, override=functions.VFIO)
        given = [one for one in found if one.driver in ("", functions.VFIO)]
        if not given or not self._sysfs.exists(f"{functions.DRIVERS}/idxd"):
            return []
        dev, on_busy = self._settings.dev_root, self._settings.on_busy
        return [functions.plan(function, "idxd", self._sysfs, dev, on_busy=on_busy) for function in given]

    def _absent(self, dev: str) -> DevicePlan:
        text = f"{self._layout.file}: {dev}: there is no such device"
        return DevicePlan(device=dev, result=Result.REFUSED, messages=(text,))

    def _files(self, name: str) -> list[Path]:
        """The character devices that its enabled queues have."""
        try:
            device = read_device(self._sysfs, name)
        except OSError:
            return []
        queues = [device.queue(number) for number, driver in device.drivers.items() if driver == "user"]
        return [self._settings.dev_root / device.kind / queue for queue in queues]

    def _is_there(self, file: Path) -> bool:
        try:
            return stat.S_ISCHR(file.stat().st_mode) or is_simulated(self._settings.dev_root)
        except OSError:
            return False

    def _link(self, file: Path) -> Path | None:
        """udev's link to a queue's file."""
        queue = file.name
        try:
            device = f"{file.parent.name}{queue.removeprefix('wq').partition('.')[0]}"
            major, minor = self._sysfs.read(f"{BUS}/{device}/cdev_major"), self._sysfs.read(f"{BUS}/{queue}/cdev_minor")
        except OSError:
            return None
        return self._settings.dev_root / "char" / f"{major}:{minor}"


def _listed(pending: Sequence[Difference]) -> str:
    more = len(pending) - SHOWN_AT_ONCE
    return ", ".join(map(str, pending[:SHOWN_AT_ONCE])) + (f" and {more} more" if more > 0 else "")
