"""The words of telemetry: what kind a sensor, a domain or an engine is of, and what state something is in.

The order of declaration is the number on the wire (telemetry.proto): new members go to the end. A number that this
version does not know is read as the first member.
"""

from enum import StrEnum


class Mode(StrEnum):
    """How the source reaches the devices."""

    UNSPECIFIED = "unspecified"
    SYSMAN = "sysman"  # initialised with zesInit
    LEGACY = "legacy"  # initialised with zeInit and ZES_ENABLE_SYSMAN
    WSL = "wsl"  # core API only


class Verdict(StrEnum):
    UNKNOWN = "unknown"
    OK = "ok"
    FAILED = "failed"


class Repair(StrEnum):
    UNKNOWN = "unknown"
    UNSUPPORTED = "unsupported"
    NOT_PERFORMED = "not_performed"
    PERFORMED = "performed"


class LinkStatus(StrEnum):
    UNKNOWN = "unknown"
    GOOD = "good"
    QUALITY_ISSUES = "quality_issues"
    STABILITY_ISSUES = "stability_issues"


class MemoryKind(StrEnum):
    UNKNOWN = "unknown"
    HBM = "hbm"
    DDR = "ddr"
    DDR3 = "ddr3"
    DDR4 = "ddr4"
    DDR5 = "ddr5"
    LPDDR = "lpddr"
    LPDDR3 = "lpddr3"
    LPDDR4 = "lpddr4"
    LPDDR5 = "lpddr5"
    SRAM = "sram"
    L1 = "l1"
    L3 = "l3"
    GRF = "grf"
    SLM = "slm"
    GDDR4 = "gddr4"
    GDDR5 = "gddr5"
    GDDR5X = "gddr5x"
    GDDR6 = "gddr6"
    GDDR6X = "gddr6x"
    GDDR7 = "gddr7"


class MemoryLocation(StrEnum):
    UNKNOWN = "unknown"
    SYSTEM = "system"
    DEVICE = "device"


class MemoryHealth(StrEnum):
    UNKNOWN = "unknown"
    OK = "ok"
    DEGRADED = "degraded"
    CRITICAL = "critical"
    REPLACE = "replace"


class TemperatureKind(StrEnum):
    UNKNOWN = "unknown"
    GLOBAL = "global"  # the highest of the whole device
    GPU = "gpu"
    MEMORY = "memory"
    GLOBAL_MIN = "global_min"
    GPU_MIN = "gpu_min"
    MEMORY_MIN = "memory_min"
    GPU_BOARD = "gpu_board"
    GPU_BOARD_MIN = "gpu_board_min"
    VOLTAGE_REGULATOR = "voltage_regulator"


class PowerKind(StrEnum):
    UNKNOWN = "unknown"
    CARD = "card"
    PACKAGE = "package"
    STACK = "stack"
    MEMORY = "memory"
    GPU = "gpu"


class FrequencyKind(StrEnum):
    UNKNOWN = "unknown"
    GPU = "gpu"
    MEMORY = "memory"
    MEDIA = "media"


class EngineKind(StrEnum):
    UNKNOWN = "unknown"
    ALL = "all"
    COMPUTE_ALL = "compute_all"
    MEDIA_ALL = "media_all"
    COPY_ALL = "copy_all"
    COMPUTE = "compute"
    RENDER = "render"
    MEDIA_DECODE = "media_decode"
    MEDIA_ENCODE = "media_encode"
    COPY = "copy"
    MEDIA_ENHANCEMENT = "media_enhancement"
    THREE_D = "3d"
    THREE_D_RENDER_COMPUTE_ALL = "3d_render_compute_all"
    RENDER_ALL = "render_all"
    THREE_D_ALL = "3d_all"
    MEDIA_CODEC = "media_codec"


class RasSeverity(StrEnum):
    UNKNOWN = "unknown"
    CORRECTABLE = "correctable"
    UNCORRECTABLE = "uncorrectable"


class Group(StrEnum):
    """Values that are sampled together, at a period of their own."""

    UNSPECIFIED = "unspecified"
    IDENTITY = "identity"
    STATE = "state"
    PCI = "pci"
    MEMORY = "memory"
    TEMPERATURE = "temperature"
    POWER = "power"
    FREQUENCY = "frequency"
    ENGINE = "engine"
    RAS = "ras"
    FIRMWARE = "firmware"
    FABRIC = "fabric"


class ThrottleReason(StrEnum):
    """Why a frequency is lower than requested. On the wire each is a bit, from the lowest on, as Sysman's."""

    AVERAGE_POWER = "average_power"
    BURST_POWER = "burst_power"
    CURRENT = "current"
    THERMAL_LIMIT = "thermal_limit"
    PSU_ALERT = "psu_alert"
    SOFTWARE_RANGE = "software_range"
    HARDWARE_RANGE = "hardware_range"
    VOLTAGE = "voltage"
    THERMAL = "thermal"
    POWER = "power"
