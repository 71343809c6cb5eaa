"""The provisioner of load balancers as its program runs it: which functions there are, and each one's plan."""

import os
from collections.abc import Collection, Mapping, Sequence

from xpu_plugins.dlb.provision.function import (
    DRIVER,
    DRIVER_DIRECTORY,
    PhysicalFunction,
    VirtualFunction,
    physical_functions,
    problem,
    read_physical_function,
)
from xpu_plugins.dlb.provision.holders import held
from xpu_plugins.dlb.provision.layout import DEFAULT, Entry, Layout, read_layout
from xpu_plugins.dlb.provision.planning import is_as_wished, missing, units
from xpu_plugins.dlb.provision.settings import Choices, DlbProvisioningSettings
from xpu_plugins.dlb.provision.shares import REFERENCE, Wish, shares
from xpu_shared.kernel.vfio import address_order
from xpu_shared.program.logs import Log
from xpu_shared.provisioning.engine import Clock
from xpu_shared.provisioning.plan import DevicePlan, LayoutError, RefusedError, Result
from xpu_shared.provisioning.sysfs import Sysfs, reason
from xpu_shared.provisioning.users import open_files

log = Log("dlb")


class DlbProvisioner:
    def __init__(
        self, settings: DlbProvisioningSettings, sysfs: Sysfs, environment: Mapping[str, str] = os.environ
    ) -> None:
        """UsageError when the environment says something that cannot be used."""
        self._settings = settings
        self._sysfs = sysfs
        self._choices = Choices.of(settings, environment)
        self._layout: Layout = {}
        self._told = ""

    def plans(self) -> Sequence[DevicePlan]:
        if self._settings.config is not None:
            self._layout = read_layout(self._settings.config, self._choices.node_name)
        present = physical_functions(self._sysfs)
        if not present:
            text = f"{self._settings.sysfs_root}/{DRIVER_DIRECTORY}: no physical function: is the module loaded?"
            if self._settings.require_pf:
                raise LayoutError(text)
            if text != self._told:
                log.info(text)
            self._told = text
        return [self.plan(address) for address in sorted(self._chosen(present), key=address_order)]

    def plan(self, device: str) -> DevicePlan:
        if trouble := problem(self._sysfs, device):
            return DevicePlan(device=device, result=Result.REFUSED, messages=(f"{device}: {trouble}",))
        try:
            return self._planned(read_physical_function(self._sysfs, device))
        except RefusedError as error:
            where = f"{self._settings.config}: " if self._layout else ""
            return DevicePlan(device=device, result=Result.REFUSED, messages=(f"{where}{error}",))
        except OSError as error:
            return DevicePlan(device=device, result=Result.FAILED, messages=(f"it has gone: {reason(error)}",))

    def settle(self, changed: Collection[str], clock: Clock) -> Sequence[str]:
        """Nothing comes later: each bind has been waited for."""
        return ()

    def _chosen(self, present: Sequence[str]) -> set[str]:
        """The addresses that something is wished of; those that are named need not be there."""
        named = {name for name in self._layout if name != DEFAULT}
        match self._choices.pfs:
            case None if self._layout:
                return named | (set(present) if DEFAULT in self._layout else set())
            case None | ("first",):
                return set(present[:1])
            case ("all",):
                return set(present)
            case ("none",):
                return set()
            case ("alternate",):
                return set(present[::2])
            case addresses:
                return set(addresses)

    def _wish(self, address: str) -> Wish:
        default = self._layout.get(DEFAULT, Entry())
        entry = self._layout.get(address, default)
        return Wish(
            vfs=self._choices.vfs or entry.vfs or 1,
            resources=self._choices.resources or entry.resources or REFERENCE,
            on_busy=self._settings.on_busy or entry.on_busy or "keep",
        )

    def _planned(self, function: PhysicalFunction) -> DevicePlan:
        wish = self._wish(function.address)
        amounts = shares(function, wish)
        if is_as_wished(function, wish.vfs, amounts):
            return DevicePlan(device=function.address, result=Result.UNCHANGED)
        recounted = function.vfs != wish.vfs
        touched = [vf for vf in function.functions if vf.bound and (recounted or missing(vf, amounts))]
        wrong = wish.on_busy == "fail"
        if users := self._users(touched):
            change = f"VFs {function.vfs} → {wish.vfs}" if recounted else "other shares"
            text = f"{function.address}: {users}; pending change: {change}"
            return DevicePlan(device=function.address, result=Result.BUSY, messages=(text,), busy_is_wrong=wrong)
        return DevicePlan(
            device=function.address,
            result=Result.CHANGE,
            units=units(function, wish.vfs, amounts),
            busy_is_wrong=wrong,
        )

    def _users(self, touched: Sequence[VirtualFunction]) -> str:
        """Who uses one of these, in words; empty: nobody, as far as can be seen."""
        foreign = next((vf for vf in touched if vf.driver != DRIVER), None)
        if foreign is not None:
            return f"VF {foreign.number} is bound to {foreign.driver}"
        files = {self._settings.dev_root / vf.node: vf for vf in touched if vf.locked and vf.node}
        for file, process in open_files(files).items():
            return f"VF {files[file].number} is open as {file} by process {process}"
        if files:
            ids = held(self._settings.kubelet_dir)
            for vf in files.values():
                if not ids.isdisjoint((f"/dev/{vf.node}", vf.address)):
                    return f"VF {vf.number} is held by a pod"
        return ""
