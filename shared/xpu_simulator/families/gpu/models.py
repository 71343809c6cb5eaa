"""The GPU models a node may be described with by name, and what is true of every card of a model.

Ids and tile counts are those of Intel's products. A model is added by one line.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    pci_id: int
    driver: str  # the one a distribution's kernel binds to it
    tiles: int = 1
    integrated: bool = False  # part of the processor: at 0000:00:02.0, without a security controller of its own
    display: bool = False  # has outputs: PCI class 0300 instead of 0380


MODELS = {
    "dg1": Model(pci_id=0x4905, driver="i915", display=True),
    "flex-140": Model(pci_id=0x56C1, driver="i915"),
    "flex-170": Model(pci_id=0x56C0, driver="i915"),
    "max-1100": Model(pci_id=0x0BDA, driver="i915"),
    "max-1550": Model(pci_id=0x0BD5, driver="i915", tiles=2),
    "arc-a380": Model(pci_id=0x56A5, driver="i915", display=True),
    "arc-a750": Model(pci_id=0x56A1, driver="i915", display=True),
    "arc-a770": Model(pci_id=0x56A0, driver="i915", display=True),
    "arc-b570": Model(pci_id=0xE20C, driver="xe", display=True),
    "arc-b580": Model(pci_id=0xE20B, driver="xe", display=True),
    "arc-140v": Model(pci_id=0x64A0, driver="xe", integrated=True, display=True),
    "iris-xe": Model(pci_id=0xA7A0, driver="i915", integrated=True, display=True),
    "uhd-770": Model(pci_id=0x4680, driver="i915", integrated=True, display=True),
}

BY_PCI_ID = {model.pci_id: model for model in MODELS.values()}
