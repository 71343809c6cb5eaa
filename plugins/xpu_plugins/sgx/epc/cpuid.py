"""The instruction CPUID, executed in this process, or asked of the kernel's device file.

The instruction needs no privilege. Its few bytes of code stand in a page that is first written and then made
executable, never both; SELinux (`execmem`) or seccomp may refuse that.
"""

import ctypes
import mmap
import os
import platform
import struct
from pathlib import Path

from xpu_plugins.sgx.epc.sections import Cpuid, Registers

# void f(uint32_t leaf, uint32_t subleaf, uint32_t registers[4]), System V AMD64: RBX belongs to the caller.
CODE = bytes.fromhex(
    "53"  # push rbx
    "4989d0"  # mov r8, rdx
    "89f8"  # mov eax, edi
    "89f1"  # mov ecx, esi
    "0fa2"  # cpuid
    "418900"  # mov [r8], eax
    "41895804"  # mov [r8+4], ebx
    "41894808"  # mov [r8+8], ecx
    "4189500c"  # mov [r8+12], edx
    "5b"  # pop rbx
    "c3"  # ret
)
FOUR_REGISTERS = struct.Struct("<4I")


def by_instruction() -> Cpuid:
    """CPUID of the processor that this runs on.

    Raises:
        OSError: it is no x86-64 processor, or no page may be made executable.
    """
    if platform.machine() not in ("x86_64", "AMD64") or struct.calcsize("P") != 8:
        raise OSError(None, f"this is no x86-64 process but {platform.machine()}")
    page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    page.write(CODE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    if libc.mprotect(address, mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_EXEC):
        number = ctypes.get_errno()
        raise OSError(number, f"no page may be made executable: {os.strerror(number)}")
    function = ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_void_p)(address)

    def cpuid(leaf: int, subleaf: int) -> Registers:
        registers = (ctypes.c_uint32 * 4)()
        function(leaf, subleaf, ctypes.addressof(registers))
        assert page  # it holds the code
        return registers[0], registers[1], registers[2], registers[3]

    return cpuid


def by_device(path: Path) -> Cpuid:
    """CPUID by the file that the kernel module `cpuid` makes for a processor; root may read it.

    Raises:
        OSError: it cannot be opened.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # for the life of the process

    def cpuid(leaf: int, subleaf: int) -> Registers:
        data = os.pread(descriptor, FOUR_REGISTERS.size, subleaf << 32 | leaf)
        if len(data) != FOUR_REGISTERS.size:
            raise OSError(None, f"{path}: expected 16 bytes of registers, found {len(data)}")
        eax, ebx, ecx, edx = FOUR_REGISTERS.unpack(data)
        return eax, ebx, ecx, edx

    return cpuid
