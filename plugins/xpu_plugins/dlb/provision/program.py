"""The provisioner of load balancers as a program."""

from xpu_plugins.dlb.provision.provisioner import DlbProvisioner
from xpu_plugins.dlb.provision.settings import DlbProvisioningSettings
from xpu_shared.provisioning.program import ProvisioningProgram

PROGRAM = ProvisioningProgram(
    name="xpu-dlb-provision",
    description="Gives this node's Dynamic Load Balancers virtual functions, and each of those its share.",
    settings_type=DlbProvisioningSettings,
    provisioner=DlbProvisioner,
    subsystems=frozenset({"dlb2", "pci"}),
)
