"""The DLB plugin as a program."""

from xpu_plugins.dlb.plugin import DlbPlugin
from xpu_plugins.dlb.settings import DlbSettings
from xpu_shared.plugin_program import PluginProgram

PROGRAM = PluginProgram(
    name="xpu-dlb-plugin",
    description="Offers this node's Dynamic Load Balancers to Kubernetes: a device plugin for the kubelet.",
    settings_type=DlbSettings,
    plugin=DlbPlugin,
    unit="DLB function",
)
