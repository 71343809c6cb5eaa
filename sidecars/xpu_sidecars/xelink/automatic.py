"""Which source there is: fabric ports where the library knows any, else XPU Manager's page."""

import asyncio
import time
from contextlib import suppress
from typing import Any

from xpu_shared.program.logs import Log
from xpu_sidecars.xelink.native import Native
from xpu_sidecars.xelink.reading import Look, Reading, SourceError, Take
from xpu_sidecars.xelink.xpum import XpuManager

PATIENCE = 30.0  # seconds for the library to say whether there are ports
RECHECK = 600.0  # seconds without XPU Manager after which the library is asked again

log = Log("xelink source")


class Automatic:
    def __init__(self, native: Native, xpum: XpuManager) -> None:
        self._native = native
        self._xpum = xpum

    async def run(self, take: Take) -> None:
        while True:
            verdict = await self._native_while_there_are_ports(take)
            log.info("asks XPU Manager", because=_text(verdict))
            await self._xpum_while_it_answers(verdict, take)

    async def _native_while_there_are_ports(self, take: Take) -> Look:
        """Once there was a port this is the source for good; ends with what was told when there is none."""
        first: asyncio.Future[Look] = asyncio.get_running_loop().create_future()
        found = False
        trouble = SourceError("library", "the library does not answer")

        def judge(look: Look) -> None:
            nonlocal found, trouble
            found = found or (isinstance(look, Reading) and bool(look.ports))
            if found:
                take(look)
            elif isinstance(look, SourceError) and look.reason != "library":
                trouble = look  # of one device, which may get over it
            elif not first.done():
                first.set_result(look)

        reading = asyncio.ensure_future(self._native.run(judge))
        waiting: set[asyncio.Future[Any]] = {reading, first}
        try:
            await asyncio.wait(waiting, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
            if found or reading.done():
                await reading
            return first.result() if first.done() else trouble
        finally:
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading

    async def _xpum_while_it_answers(self, verdict: Look, take: Take) -> None:
        """Ends when it has not answered for long. Until it has for the first time, the library's word counts."""
        answered, since = False, time.monotonic()
        while time.monotonic() - since < RECHECK:
            look = await self._xpum.look()
            if isinstance(look, Reading):
                answered, since = True, time.monotonic()
            take(_both(verdict, look) if not answered else look)
            await asyncio.sleep(self._xpum.interval)


def _both(verdict: Look, look: Look) -> Look:
    """Where XPU Manager is not: the library's word, be it that there are no ports."""
    if isinstance(verdict, Reading) or isinstance(look, Reading):
        return verdict if isinstance(verdict, Reading) else look
    return SourceError(look.reason, f"{look}; {verdict}", empty=look.empty)


def _text(look: Look) -> str:
    return str(look) if isinstance(look, SourceError) else "the library knows no fabric port"
