"""The two kinds of accelerators that the kernel driver idxd knows, and how each is named where."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    title: str  # also the beginning of environment variables
    namespace: str  # of its resources
    device: str  # as sysfs names one, before its number; also its directory in /dev


DSA = Accelerator(title="DSA", namespace="dsa.intel.com", device="dsa")
IAA = Accelerator(title="IAA", namespace="iaa.intel.com", device="iax")
