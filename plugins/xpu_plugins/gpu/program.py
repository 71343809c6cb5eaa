"""The GPU plugin as a program."""

from xpu_plugins.gpu.plugin import GpuPlugin
from xpu_plugins.gpu.settings import GpuSettings, completed
from xpu_shared.device import Device
from xpu_shared.plugin_program import PluginProgram
from xpu_shared.program.table import CDI_DEVICE, Column


def by_path_names(device: Device) -> str:
    return " ".join(mount.container_path.removeprefix("/dev/dri/by-path/") for mount in device.mounts)


PROGRAM = PluginProgram(
    name="xpu-gpu-plugin",
    description="Offers the Intel GPUs of this node to Kubernetes: a device plugin for the kubelet.",
    settings_type=GpuSettings,
    settings=completed,
    plugin=GpuPlugin,
    unit="GPU",
    columns=(Column("BY-PATH", by_path_names), CDI_DEVICE),
)
