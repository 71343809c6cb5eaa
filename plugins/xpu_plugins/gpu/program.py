"""The GPU plugin as a program."""

from xpu_plugins.gpu.plugin import GpuPlugin
from xpu_plugins.gpu.settings import GpuSettings, completed
from xpu_shared.device import Device
from xpu_shared.plugin import Plugin
from xpu_shared.plugin_program import PluginProgram
from xpu_shared.program.table import CDI_DEVICE, Column


def plugin(settings: GpuSettings) -> Plugin:
    """With what the settings need and nothing else: sources of health cost memory."""
    if settings.wsl:
        from xpu_plugins.gpu.wsl_plugin import WslPlugin  # noqa: PLC0415 - as above

        return WslPlugin(settings)
    if settings.endpoints or settings.fabric_endpoints or settings.xpumd_endpoint is not None:
        from xpu_plugins.gpu.judged import JudgedGpuPlugin  # noqa: PLC0415 - as above

        return JudgedGpuPlugin(settings)
    return GpuPlugin(settings)


def by_path_names(device: Device) -> str:
    return " ".join(mount.container_path.removeprefix("/dev/dri/by-path/") for mount in device.mounts)


PROGRAM = PluginProgram(
    name="xpu-gpu-plugin",
    description="Offers the Intel GPUs of this node to Kubernetes: a device plugin for the kubelet.",
    settings_type=GpuSettings,
    settings=completed,
    plugin=plugin,
    unit="GPU",
    columns=(Column("BY-PATH", by_path_names), CDI_DEVICE),
)
