"""How often a process calls the kernel, and how often its threads wait: what it costs although nothing happens.

System calls are counted by perf where it may be used, else by strace, which slows the process down; else they are not.
"""

import asyncio
import shutil
import signal
import tempfile
from pathlib import Path

CALLS = 3  # the column of strace's table


async def activity(pid: int, seconds: float) -> str:
    """What it does in the next seconds."""
    before = voluntary_switches(pid)
    calls, counter = await _system_calls(pid, seconds)
    switches = (voluntary_switches(pid) - before) / seconds
    counted = "system calls not counted" if calls is None else f"{calls / seconds:.2f} system calls"
    return f"{counted}, {switches:.2f} voluntary switches a second ({counter})"


def voluntary_switches(pid: int) -> int:
    """Of all threads that are there now."""
    statuses = [(thread / "status").read_text() for thread in Path(f"/proc/{pid}/task").iterdir()]
    return sum(int(text.partition("\nvoluntary_ctxt_switches:")[2].split()[0]) for text in statuses)


async def _system_calls(pid: int, seconds: float) -> tuple[int | None, str]:
    """Their number and who counted; None where nobody can."""
    if shutil.which("perf"):
        options = ("-x,", "-e", "raw_syscalls:sys_enter", "-p", str(pid), "--", "sleep", str(seconds))
        perf = await asyncio.create_subprocess_exec("perf", "stat", *options, stderr=asyncio.subprocess.PIPE)
        _, output = await perf.communicate()
        count = output.decode().partition(",")[0].strip()
        if count.isdigit():
            return int(count), "perf"
    if shutil.which("strace"):
        with tempfile.NamedTemporaryFile() as file:
            own = ("-f", "-c", "-o", file.name, "-p", str(pid))
            strace = await asyncio.create_subprocess_exec("strace", *own, stderr=asyncio.subprocess.DEVNULL)
            await asyncio.sleep(seconds)
            strace.send_signal(signal.SIGINT)
            await strace.wait()
            totals = [line.split() for line in Path(file.name).read_text().splitlines() if line.endswith(" total")]
            if totals:
                return int(totals[0][CALLS]), "strace"
    await asyncio.sleep(seconds)
    return None, "neither perf nor strace"
