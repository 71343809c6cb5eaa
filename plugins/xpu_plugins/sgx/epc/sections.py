"""The enclave page cache as CPUID tells it: leaf 0x12 of the Intel architecture. Functions of register values.

Every logical processor tells all sections of the machine, so one is asked, and nothing is multiplied.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

Registers = tuple[int, int, int, int]  # EAX, EBX, ECX, EDX, 32 bits each
Cpuid = Callable[[int, int], Registers]  # of a leaf and a sub-leaf

EXTENDED_FEATURES, SGX_LEAF = 0x7, 0x12
SGX_BIT = 2  # of EBX
FIRST, LAST = 2, 9  # the sub-leaves that tell sections
INVALID, EPC_SECTION = 0, 1  # types
LOW, HIGH = 0xFFFFF000, 0x000FFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    subleaf: int
    base: int
    size: int  # bytes
    protection: int  # the class: 1 is confidentiality and integrity, 2 confidentiality only


@dataclass(frozen=True, slots=True, kw_only=True)
class Epc:
    total: int  # bytes
    sections: tuple[Section, ...] = ()
    warnings: tuple[str, ...] = ()
    reason: str = ""  # why the total is 0


def read_epc(cpuid: Cpuid) -> Epc:
    """The sections and their sum; OSError is whatever `cpuid` raises."""
    highest = cpuid(0, 0)[0]
    if highest < SGX_LEAF:
        return Epc(total=0, reason=f"the processor has no SGX: its highest CPUID leaf is {highest:#x}")
    if not cpuid(EXTENDED_FEATURES, 0)[1] >> SGX_BIT & 1:
        return Epc(total=0, reason="the processor has no SGX, or it is switched off in the BIOS")
    sections: list[Section] = []
    warnings: list[str] = []
    for subleaf in range(FIRST, LAST + 1):
        registers = cpuid(SGX_LEAF, subleaf)
        kind = registers[0] & 0xF
        if kind == INVALID:
            break
        if kind != EPC_SECTION:
            warnings.append(f"CPUID leaf 0x12 sub-leaf {subleaf}: expected type 1, found {kind}: not counted")
            continue
        section = decode(subleaf, registers)
        if section.size:
            warnings += _overlaps(section, sections)
            sections.append(section)
    else:
        warnings.append(f"CPUID leaf 0x12: no end up to sub-leaf {LAST}: sections after it are not counted")
    total = sum(section.size for section in sections)
    reason = "" if total else "CPUID leaf 0x12 tells no section with a size"
    return Epc(total=total, sections=tuple(sections), warnings=tuple(warnings), reason=reason)


def decode(subleaf: int, registers: Registers) -> Section:
    """A section of type 1; reserved bits are ignored."""
    eax, ebx, ecx, edx = registers
    return Section(
        subleaf=subleaf,
        base=(eax & LOW) + ((ebx & HIGH) << 32),
        size=(ecx & LOW) + ((edx & HIGH) << 32),
        protection=ecx & 0xF,
    )


def _overlaps(section: Section, others: Sequence[Section]) -> list[str]:
    return [
        f"CPUID leaf 0x12: the sections of sub-leaves {other.subleaf} and {section.subleaf} overlap: both are counted"
        for other in others
        if section.base < other.base + other.size and other.base < section.base + section.size
    ]
