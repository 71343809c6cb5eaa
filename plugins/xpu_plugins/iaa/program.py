"""The IAA plugin as a program."""

from xpu_shared.idxd.accelerator import IAA
from xpu_shared.idxd.plugin import IdxdPlugin, idxd_plugin
from xpu_shared.idxd.settings import IdxdSettings
from xpu_shared.plugin_program import PluginProgram


def iaa_plugin(settings: IdxdSettings) -> IdxdPlugin:
    return idxd_plugin(IAA, settings)


PROGRAM = PluginProgram(
    name="xpu-iaa-plugin",
    description="Offers the work queues of this node's IAA devices to Kubernetes: a device plugin for the kubelet.",
    settings_type=IdxdSettings,
    plugin=iaa_plugin,
    unit="IAA work queue",
)
