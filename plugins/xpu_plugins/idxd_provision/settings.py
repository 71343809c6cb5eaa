"""What an administrator may choose; docs/provisioning.md explains it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from xpu_shared.node_name import is_node_name
from xpu_shared.program.flags import UsageError, shown
from xpu_shared.program.options import Boolean, Choice, FilePath
from xpu_shared.provisioning.settings import WORK, ProvisioningSettings

DRIVERS = ("idxd", "vfio-pci")
IDS = ("0b25", "11fb", "1212")
PCI_ID = re.compile(r"(?:0x)?([0-9a-fA-F]{4})")


@dataclass(frozen=True, kw_only=True)
class IdxdProvisioningSettings(ProvisioningSettings):
    on_busy: Annotated[
        str,
        Choice(
            group=WORK,
            values=("keep", "fail", "force"),
            help="a device that has clients: keep it as it is, fail because of it, or change it all the same",
        ),
    ] = "keep"
    export: Annotated[
        bool,
        Boolean(group=WORK, help="print the present state of enabled devices as a layout file, and change nothing"),
    ] = False
    conf_dir: Annotated[
        Path, FilePath(group=WORK, help="where dsa.conf and dsa-<NODE_NAME>.conf are looked for, also as .yaml")
    ] = Path("/idxd-init/conf")
    driver: Annotated[
        str | None,
        Choice(
            group=WORK,
            values=DRIVERS,
            help="the driver DSA functions are bound to; vfio-pci makes them whole devices, idxd takes all of them; "
            "by default DSA_DRIVER, and if that is not set either, idxd takes back what was given to vfio-pci",
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What environment variables say."""

    kind: str | None  # dsa or iaa; None: nothing is said
    node_name: str
    driver: str | None
    pci_ids: frozenset[str]  # of DSA functions, as sysfs spells them

    @staticmethod
    def of(environment: Mapping[str, str], driver: str | None) -> "Surroundings":
        """UsageError for a value that cannot be used.

        Args:
            driver: the flag's, which wins.
        """
        kind = environment.get("DEVICE_TYPE", "") or None
        if kind not in (None, "dsa", "iaa"):
            raise UsageError(f"DEVICE_TYPE={shown(kind)}: expected dsa or iaa")
        node_name = environment.get("NODE_NAME", "")
        if node_name and not is_node_name(node_name):
            raise UsageError(f"NODE_NAME={shown(node_name)}: expected a node's name", exit_code=1)
        chosen = driver or environment.get("DSA_DRIVER", "") or None
        if chosen not in (None, *DRIVERS):
            raise UsageError(f"DSA_DRIVER={shown(chosen)}: expected {' or '.join(DRIVERS)}")
        if chosen == "vfio-pci" and kind == "iaa":
            raise UsageError("driver vfio-pci is for DSA, but DEVICE_TYPE is iaa")
        ids = environment.get("DSA_PCI_IDS", "").split() or IDS
        for id_ in ids:
            if not PCI_ID.fullmatch(id_):
                raise UsageError(f"DSA_PCI_IDS: expected PCI ids such as 0b25, found {shown(id_)}")
        return Surroundings(
            kind=kind,
            node_name=node_name,
            driver=chosen,
            pci_ids=frozenset(f"0x{id_.lower()[-4:]}" for id_ in ids),
        )
