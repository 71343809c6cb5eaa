"""What a device's `cmd_status` says of its last command, in words.

The kernel's own results have the highest bit set, the others come from the device.
"""

from xpu_shared.idxd.tree import BUS
from xpu_shared.provisioning.plan import Write
from xpu_shared.provisioning.sysfs import Sysfs

KERNELS = {
    0x80000010: "the driver could not do it in the state of the device",
    0x80000020: "the driver could not do it in the state of the queue",
    0x80000021: "the driver could not do it in the state of the queue",
    0x80010000: "it could not be read",
    0x80020000: "registering for DMA failed",
    0x80030000: "the queue has no group",
    0x80040000: "the queue has no name",
    0x80050000: "no shared virtual memory (PASID in the BIOS, intel_iommu=on,sm_on for the kernel)",
    0x80060000: "the queue has no threshold",
    0x80070000: "mapping the portal failed",
    0x80080000: "allocating resources failed",
    0x80090000: "a counter for each CPU could not be had",
    0x800A0000: "no DMA channel could be had",
    0x800B0000: "registering the character device failed",
    0x800C0000: "no support for shared queues",
    0x800D0000: "no queue is configured",
    0x800E0000: "the queue has no size",
    0x800F0000: "no privileged mode",
    0x80100000: "no interrupt could be had",
    0x80110000: "a user queue needs an IOMMU",
    0x80120000: "setting up the event log failed",
    0x80200000: "the queue has no driver name",
    0x80300000: "setting up the event log failed",
}
DEVICES = {
    0x10: "the device was not disabled",
    0x14: "the sum of the queues' sizes is out of range",
    0x15: "a group lacks a queue or an engine",
    0x16: "a group's queues are wrong",
    0x17: "a group's engines are wrong",
    0x18: "a group's read buffers are wrong",
    0x22: "the queue's size is 0",
    0x23: "the queue's priority is 0",
    0x24: "the queue's mode is wrong",
    0x27: "the queue's batch size is wrong",
    0x28: "the queue's transfer size is wrong",
}


def in_words(status: int) -> str:
    """A status; unknown ones are shown in hexadecimal."""
    return f"cmd_status {status:#x}: {KERNELS.get(status) or DEVICES.get(status) or 'unknown'}"


def explanation(sysfs: Sysfs, write: Write, error: OSError | None, device: str) -> str:
    """What is known of a failed write."""
    if isinstance(error, PermissionError):
        if "/traffic_class_" in write.path:
            return "traffic classes of this part need the idxd module's parameter tc_override"
        if not write.path.endswith("/bind"):
            return "the device or queue is enabled, or its layout is fixed"
    if not write.path.endswith("/bind"):
        return ""
    try:
        status = int(sysfs.read(f"{BUS}/{device}/cmd_status"), base=16)
    except (OSError, ValueError):
        return ""
    return in_words(status) if status else ""
