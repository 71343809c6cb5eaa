"""Result codes of Level-Zero: their texts, and what each means for the call that ended with it."""

from enum import Enum, auto

SUCCESS = 0x0
NOT_READY = 0x1
DEVICE_LOST = 0x70000001
DEVICE_REQUIRES_RESET = 0x70000006
DEVICE_IN_LOW_POWER_STATE = 0x70000007
INSUFFICIENT_PERMISSIONS = 0x70010000
NOT_AVAILABLE = 0x70010001
DEPENDENCY_UNAVAILABLE = 0x70020000
UNINITIALIZED = 0x78000001
UNSUPPORTED_FEATURE = 0x78000003
SURVIVABILITY_MODE_DETECTED = 0x78000020

TEXTS = {
    SUCCESS: "success",
    NOT_READY: "not ready",
    DEVICE_LOST: "device lost",
    0x70000002: "out of host memory",
    DEVICE_REQUIRES_RESET: "device requires reset",
    DEVICE_IN_LOW_POWER_STATE: "device in low power state",
    INSUFFICIENT_PERMISSIONS: "insufficient permissions",
    NOT_AVAILABLE: "not available",
    DEPENDENCY_UNAVAILABLE: "dependency unavailable",
    UNINITIALIZED: "uninitialized",
    0x78000002: "unsupported version",
    UNSUPPORTED_FEATURE: "unsupported feature",
    0x78000004: "invalid argument",
    0x78000005: "invalid null handle",
    0x78000007: "invalid null pointer",
    0x7800001B: "action required",
    SURVIVABILITY_MODE_DETECTED: "survivability mode detected",
    0x7FFFFFFE: "unknown",
}


class Meaning(Enum):
    GOOD = auto()
    SKIP = auto()  # this sample is missing, the next may be there
    PERMANENT = auto()  # nothing changes until devices are enumerated again
    PRIVILEGE = auto()  # as permanent: a running process gets no other rights
    DEVICE = auto()  # it tells of the device itself
    TROUBLE = auto()  # counted, and asked more and more rarely


MEANINGS = {
    SUCCESS: Meaning.GOOD,
    NOT_READY: Meaning.SKIP,
    DEVICE_IN_LOW_POWER_STATE: Meaning.SKIP,
    UNSUPPORTED_FEATURE: Meaning.PERMANENT,
    NOT_AVAILABLE: Meaning.PERMANENT,
    DEPENDENCY_UNAVAILABLE: Meaning.PERMANENT,
    INSUFFICIENT_PERMISSIONS: Meaning.PRIVILEGE,
    DEVICE_LOST: Meaning.DEVICE,
    DEVICE_REQUIRES_RESET: Meaning.DEVICE,
    SURVIVABILITY_MODE_DETECTED: Meaning.DEVICE,
}


def text(code: int) -> str:
    """A code as people read it, e.g. `device lost (0x70000001)`."""
    return f"{TEXTS.get(code, 'not known')} (0x{code:X})"


def meaning(code: int) -> Meaning:
    return MEANINGS.get(code, Meaning.TROUBLE)
