"""A scan's devices with the health that they have now, as their plugin says."""

from dataclasses import replace

from xpu_shared.device import ScanResult
from xpu_shared.plugin import JudgesDevices, Plugin


def judged(plugin: Plugin, result: ScanResult) -> ScanResult:
    """The result of a scan; a plugin that does not judge leaves it as it is."""
    if not isinstance(plugin, JudgesDevices):
        return result
    return replace(result, devices={type_: plugin.judge(type_, found) for type_, found in result.devices.items()})
