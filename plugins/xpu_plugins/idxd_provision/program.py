"""The provisioner of DSA and IAA as a program."""

from xpu_plugins.idxd_provision.provisioner import IdxdProvisioner
from xpu_plugins.idxd_provision.settings import IdxdProvisioningSettings
from xpu_shared.provisioning.program import ProvisioningProgram

PROGRAM = ProvisioningProgram(
    name="xpu-idxd-provision",
    description="Configures the work queues of this node's DSA or IAA devices as a layout file wishes.",
    settings_type=IdxdProvisioningSettings,
    provisioner=IdxdProvisioner,
    subsystems=frozenset({"dsa", "pci"}),
)
