"""The GPU models a node may be described with by name, and what is true of every card of a model.

Ids, tile counts, memory (of a tile), power and frequency are those of Intel's products.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    pci_id: int
    driver: str  # the one a distribution's kernel binds to it
    tiles: int = 1
    integrated: bool = False  # part of the processor: at 0000:00:02.0, without a security controller of its own
    display: bool = False  # has outputs: PCI class 0300 instead of 0380
    title: str = "Intel(R) Graphics"  # what the driver calls it
    memory_gib: int = 16
    watts: int = 150  # that it may draw for long
    megahertz: int = 2050  # at most
    hbm: bool = False


MODELS = {
    "dg1": Model(
        pci_id=0x4905,
        driver="i915",
        display=True,
        title="Intel(R) Iris(R) Xe MAX Graphics",
        memory_gib=4,
        watts=25,
        megahertz=1650,
    ),
    "flex-140": Model(
        pci_id=0x56C1,
        driver="i915",
        title="Intel(R) Data Center GPU Flex 140",
        memory_gib=6,
        watts=38,
        megahertz=1950,
    ),
    "flex-170": Model(
        pci_id=0x56C0,
        driver="i915",
        title="Intel(R) Data Center GPU Flex 170",
        memory_gib=16,
        watts=150,
        megahertz=2050,
    ),
    "max-1100": Model(
        pci_id=0x0BDA,
        driver="i915",
        title="Intel(R) Data Center GPU Max 1100",
        memory_gib=48,
        watts=300,
        megahertz=1550,
        hbm=True,
    ),
    "max-1550": Model(
        pci_id=0x0BD5,
        driver="i915",
        tiles=2,
        title="Intel(R) Data Center GPU Max 1550",
        memory_gib=64,
        watts=600,
        megahertz=1600,
        hbm=True,
    ),
    "arc-a380": Model(
        pci_id=0x56A5,
        driver="i915",
        display=True,
        title="Intel(R) Arc(TM) A380 Graphics",
        memory_gib=6,
        watts=75,
        megahertz=2450,
    ),
    "arc-a750": Model(
        pci_id=0x56A1,
        driver="i915",
        display=True,
        title="Intel(R) Arc(TM) A750 Graphics",
        memory_gib=8,
        watts=225,
        megahertz=2400,
    ),
    "arc-a770": Model(
        pci_id=0x56A0,
        driver="i915",
        display=True,
        title="Intel(R) Arc(TM) A770 Graphics",
        memory_gib=16,
        watts=225,
        megahertz=2400,
    ),
    "arc-b570": Model(
        pci_id=0xE20C,
        driver="xe",
        display=True,
        title="Intel(R) Arc(TM) B570 Graphics",
        memory_gib=10,
        watts=150,
        megahertz=2750,
    ),
    "arc-b580": Model(
        pci_id=0xE20B,
        driver="xe",
        display=True,
        title="Intel(R) Arc(TM) B580 Graphics",
        memory_gib=12,
        watts=190,
        megahertz=2850,
    ),
    "arc-140v": Model(pci_id=0x64A0, driver="xe", integrated=True, display=True, title="Intel(R) Arc(TM) 140V GPU"),
    "iris-xe": Model(pci_id=0xA7A0, driver="i915", integrated=True, display=True),
    "uhd-770": Model(pci_id=0x4680, driver="i915", integrated=True, display=True),
}

BY_PCI_ID = {model.pci_id: model for model in MODELS.values()}
