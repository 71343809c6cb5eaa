"""Provisioners on a simulated kernel, in this process; and kernels that die, refuse or count writes."""

import json
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from xpu_plugins.dlb.provision.provisioner import DlbProvisioner
from xpu_plugins.dlb.provision.settings import DlbProvisioningSettings
from xpu_plugins.idxd_provision.provisioner import IdxdProvisioner
from xpu_plugins.idxd_provision.settings import IdxdProvisioningSettings
from xpu_shared.provisioning.engine import Engine, Outcome
from xpu_shared.provisioning.program import Job, Provisioner
from xpu_shared.provisioning.sysfs import Sysfs
from xpu_simulator.families.dlb.device import Dlb
from xpu_simulator.families.dlb.kernel import DlbKernel, PhysicalState
from xpu_simulator.families.idxd.device import Dsa, IdxdDevice
from xpu_simulator.families.idxd.kernel import IdxdKernel
from xpu_simulator.families.idxd.state import IdxdState
from xpu_simulator.kernel.sysfs import SimulatedSysfs
from xpu_simulator.tree import SimulatedTree

PF = "0000:7e:00.0"


@dataclass
class HandClock:
    """Time that passes only while somebody sleeps."""

    now: float = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float, /) -> None:
        self.now += seconds


class KilledError(BaseException):
    """The process ends here; nothing may catch it."""


@dataclass
class Interposed:
    """A sysfs between the provisioner and the kernel.

    Attributes:
        killed_at: the number of the write, from 0, at which the process dies: in front of it, or just after it.
        refused: errno by the end of the path.
    """

    kernel: Sysfs
    killed_at: int | None = None
    after_it: bool = False
    refused: Mapping[str, int] = field(default_factory=dict)
    writes: list[tuple[str, str]] = field(default_factory=list)

    def read(self, path: str) -> str:
        return self.kernel.read(path)

    def names(self, path: str) -> list[str]:
        return self.kernel.names(path)

    def target(self, path: str) -> str:
        return self.kernel.target(path)

    def exists(self, path: str) -> bool:
        return self.kernel.exists(path)

    def write(self, path: str, text: str) -> None:
        number = len(self.writes)
        self.writes.append((path, text))
        if number == self.killed_at and not self.after_it:
            raise KilledError
        for end, code in self.refused.items():
            if path.endswith(end):
                raise OSError(code, os.strerror(code), path)
        self.kernel.write(path, text)
        if number == self.killed_at:
            raise KilledError


class IdxdNode:
    """A node whose DSA and IAA devices are as the kernel makes them: disabled, without anything configured."""

    def __init__(self, root: Path, *devices: IdxdDevice, configured: bool = False, dev: bool = False) -> None:
        self.root = root
        self.tree = SimulatedTree(root / "node", device_nodes=False)
        self.kernel = IdxdKernel(self.tree, devices or [Dsa(number=11)])
        if not configured:
            for state in self.kernel.states.values():
                self.kernel.become(replace(state, state="disabled", queues=(), engines={}))
        self.sysfs = SimulatedSysfs(self.tree, self.kernel)
        self.lock = root / "lock"

    def state(self, name: str = "dsa11") -> IdxdState:
        return self.kernel.states[name]

    def become(self, name: str = "dsa11", **changes: Any) -> None:
        self.kernel.become(replace(self.state(name), **changes))

    def file(self, layout: object, name: str = "layout.json") -> Path:
        path = self.root / name
        path.write_text(layout if isinstance(layout, str) else json.dumps(layout))
        return path

    def provisioner(
        self,
        layout: object = None,
        *,
        sysfs: Sysfs | None = None,
        environment: Mapping[str, str] | None = None,
        **choices: Any,
    ) -> IdxdProvisioner:
        roots = {"sysfs_root": self.tree.sysfs, "dev_root": self.tree.dev, "conf_dir": self.root / "conf"}
        config = {} if layout is None else {"config": layout if isinstance(layout, Path) else self.file(layout)}
        settings = IdxdProvisioningSettings(**{**roots, **config, **choices})
        return IdxdProvisioner(settings, sysfs or self.sysfs, environment or {})

    def apply(self, layout: object = None, *, sysfs: Sysfs | None = None, **choices: Any) -> list[Outcome]:
        return applied(self.provisioner(layout, sysfs=sysfs, **choices), sysfs or self.sysfs, self.lock)


class DlbNode:
    """A node with load balancers that have no virtual functions."""

    def __init__(self, root: Path, *devices: Dlb) -> None:
        self.root = root
        self.tree = SimulatedTree(root / "node", device_nodes=False)
        self.kernel = DlbKernel(self.tree, devices or [Dlb(pci_address=PF)])
        self.sysfs = SimulatedSysfs(self.tree, self.kernel)
        self.lock = root / "lock"

    def state(self, address: str = PF) -> PhysicalState:
        return self.kernel.states[address]

    def provisioner(
        self, *, sysfs: Sysfs | None = None, environment: Mapping[str, str] | None = None, **choices: Any
    ) -> DlbProvisioner:
        roots = {"sysfs_root": self.tree.sysfs, "dev_root": self.tree.dev, "kubelet_dir": self.root / "kubelet"}
        return DlbProvisioner(DlbProvisioningSettings(**{**roots, **choices}), sysfs or self.sysfs, environment or {})

    def apply(self, *, sysfs: Sysfs | None = None, **choices: Any) -> list[Outcome]:
        return applied(self.provisioner(sysfs=sysfs, **choices), sysfs or self.sysfs, self.lock)


def applied(provisioner: Provisioner, sysfs: Sysfs, lock: Path) -> list[Outcome]:
    """What a run would tell; time does not pass by itself."""
    clock = HandClock()
    engine = Engine(sysfs, clock)
    job = Job(settings=IdxdProvisioningSettings(), provisioner=provisioner, engine=engine, lock=lock, clock=clock)
    return list(job._outcomes())


def results(outcomes: Sequence[Outcome]) -> dict[str, str]:
    return {outcome.device: str(outcome.result) for outcome in outcomes}


def short(outcome: Outcome) -> list[tuple[str, str]]:
    """Its writes, without what all paths begin with."""
    return [(re.sub("^bus/(dsa|pci)/(devices/)?", "", write.path), write.value) for write in outcome.writes]


def text_of(outcomes: Sequence[Outcome]) -> str:
    return "\n".join(text for outcome in outcomes for text in outcome.messages)


@contextmanager
def logging_as_it_was() -> Iterator[None]:
    """For programs that run in the tests' own process: they set up logs of their own."""
    logger = logging.getLogger("xpu")
    before = (logger.handlers[:], logger.level, logger.propagate)
    yield
    logger.handlers[:], logger.level, logger.propagate = before
