"""The NPU plugin as a program."""

from xpu_plugins.npu.plugin import NpuPlugin
from xpu_plugins.npu.settings import NpuSettings, below_prefix
from xpu_shared.plugin_program import PluginProgram
from xpu_shared.program.table import CDI_DEVICE

PROGRAM = PluginProgram(
    name="xpu-npu-plugin",
    description="Offers the NPUs of this node's processors to Kubernetes: a device plugin for the kubelet.",
    settings_type=NpuSettings,
    settings=below_prefix,
    plugin=NpuPlugin,
    unit="NPU",
    columns=(CDI_DEVICE,),
)
