"""The DSA plugin as a program."""

from xpu_plugins.dsa.settings import DsaSettings
from xpu_plugins.dsa.vfio import VfioPlugin
from xpu_shared.idxd.accelerator import DSA
from xpu_shared.idxd.plugin import idxd_plugin
from xpu_shared.plugin import Plugin
from xpu_shared.plugin_program import PluginProgram


def dsa_plugin(settings: DsaSettings) -> Plugin:
    return VfioPlugin(settings) if settings.driver == "vfio-pci" else idxd_plugin(DSA, settings)


PROGRAM = PluginProgram(
    name="xpu-dsa-plugin",
    description="Offers the work queues of this node's DSA devices to Kubernetes, or with --driver=vfio-pci the "
    "devices themselves: a device plugin for the kubelet.",
    settings_type=DsaSettings,
    plugin=dsa_plugin,
    unit="DSA work queue or device",
)
