"""Which source the settings choose."""

from xpu_sidecars.xelink.reading import Source
from xpu_sidecars.xelink.settings import XelinkSettings


def source(settings: XelinkSettings) -> Source:
    from xpu_sidecars.xelink.xpum import XpuManager  # noqa: PLC0415 - HTTP and a parser, for this source alone
    from xpu_sidecars.xelink.xpum_links import LabelRules  # noqa: PLC0415 - as above

    rules = LabelRules(lanes=settings.lane_count, subdeviceless=settings.allow_subdeviceless_links)
    return XpuManager(settings.place, rules, interval=settings.interval, strict=settings.strict_parse)
