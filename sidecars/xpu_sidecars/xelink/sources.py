"""Which source the settings choose; only that one's libraries are imported."""

from typing import TYPE_CHECKING

from xpu_sidecars.xelink.reading import Source
from xpu_sidecars.xelink.settings import XelinkSettings

if TYPE_CHECKING:
    from xpu_sidecars.xelink.native import Native
    from xpu_sidecars.xelink.xpum import XpuManager


def source(settings: XelinkSettings) -> Source:
    if settings.source == "native":
        return native(settings)
    if settings.source == "xpum":
        return xpum(settings)
    from xpu_sidecars.xelink.automatic import Automatic  # noqa: PLC0415 - both sources

    return Automatic(native(settings), xpum(settings))


def native(settings: XelinkSettings) -> "Native":
    from xpu_sidecars.xelink.native import Native, Rules  # noqa: PLC0415 - readings and processes, for this source

    rules = Rules(
        index=settings.index,
        accept_degraded=settings.accept_degraded,
        lanes=settings.lane_count,
        keep_last=settings.keep_last,
    )
    return Native(settings.library, float(settings.interval), settings.sysfs_root, rules)


def xpum(settings: XelinkSettings) -> "XpuManager":
    from xpu_sidecars.xelink.xpum import XpuManager  # noqa: PLC0415 - HTTP and a parser, for this source
    from xpu_sidecars.xelink.xpum_links import LabelRules  # noqa: PLC0415 - as above

    rules = LabelRules(lanes=settings.lane_count, subdeviceless=settings.allow_subdeviceless_links)
    return XpuManager(settings.place, rules, interval=settings.interval, strict=settings.strict_parse)
