"""The provisioner of DSA and IAA as a program."""

import os
from collections.abc import Callable

from xpu_plugins.idxd_provision.provisioner import IdxdProvisioner
from xpu_plugins.idxd_provision.settings import IdxdProvisioningSettings, Surroundings
from xpu_shared.program.flags import UsageError
from xpu_shared.provisioning.program import ProvisioningProgram
from xpu_shared.provisioning.sysfs import Sysfs

KINDS = {None: ("dsa", "iax"), "dsa": ("dsa",), "iaa": ("iax",)}  # by DEVICE_TYPE


def exported(settings: IdxdProvisioningSettings, word: str, sysfs: Sysfs) -> Callable[[], str] | None:
    """What makes a layout file of the present state, if that is asked for."""
    if not settings.export:
        return None
    if settings.plan or settings.watch or word in ("plan", "status"):
        raise UsageError("--export is not for plan, status or --watch")
    from xpu_plugins.idxd_provision.export import export  # noqa: PLC0415 - other runs do not need it

    kinds = KINDS[Surroundings.of(os.environ, settings.driver).kind]
    return lambda: export(sysfs, kinds)


PROGRAM = ProvisioningProgram(
    name="xpu-idxd-provision",
    description="Configures the work queues of this node's DSA or IAA devices as a layout file wishes.",
    settings_type=IdxdProvisioningSettings,
    provisioner=IdxdProvisioner,
    subsystems=frozenset({"dsa", "pci"}),
    instead=exported,
)
