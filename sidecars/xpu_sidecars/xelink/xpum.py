"""Source A: the metrics page of XPU Manager 1.x."""

import asyncio
from dataclasses import replace

from xpu_shared.program.logs import Log
from xpu_shared.threads import in_daemon_thread
from xpu_sidecars.xelink.fetching import TIMEOUT, Place, fetch
from xpu_sidecars.xelink.metrics_text import TooLargeError, parse
from xpu_sidecars.xelink.reading import Look, Reading, SourceError, Take
from xpu_sidecars.xelink.xpum_links import LabelRules, reading

GRACE = 1.0  # seconds

log = Log("xpum")


class XpuManager:
    def __init__(self, place: Place, rules: LabelRules, *, interval: float, strict: bool = False) -> None:
        """`interval` are the seconds between two looks."""
        self.interval = interval
        self._place = place
        self._rules = rules
        self._strict = strict

    async def run(self, take: Take) -> None:
        while True:
            take(await self.look())
            await asyncio.sleep(self.interval)

    async def look(self) -> Look:
        try:
            return await self.read()
        except SourceError as error:
            return error

    async def read(self) -> Reading:
        """One look; SourceError."""
        try:
            async with asyncio.timeout(TIMEOUT + GRACE):  # looking a host's name up has a time of its own
                return await in_daemon_thread(self._read, name="xpum")
        except TimeoutError:
            raise SourceError("timeout", f"{self._place.url}: no answer within {TIMEOUT:g} s") from None

    def _read(self) -> Reading:
        body = fetch(self._place)
        try:
            return reading_of(body, self._rules, strict=self._strict)
        except SourceError as error:
            raise SourceError(error.reason, f"{self._place.url}: {error}", empty=error.empty) from error


def reading_of(body: bytes, rules: LabelRules, *, strict: bool = False) -> Reading:
    """What a page says of the fabric.

    Raises:
        SourceError: it cannot be told.
    """
    try:
        page = parse(body, strict=strict)
    except TooLargeError as error:
        raise SourceError("too large", str(error)) from error
    log.verbose(
        4, "a metrics page", lines=page.lines, about_links=len(page.samples), bad=page.bad_lines + page.bad_links
    )
    for sample in page.samples if log.enabled(5) else ():
        labels = " ".join(f"{name}={value}" for name, value in sample.labels.items())
        log.verbose(5, "a sample", value=sample.value, labels=labels)
    if page.bad_links or (strict and page.bad_lines):
        raise SourceError("malformed", page.first_bad)
    if page.bad_lines and not page.lines:
        raise SourceError("malformed", f"no metrics: {page.first_bad}", empty=True)
    if page.cut_off:
        raise SourceError("malformed", f"the page ends within a line: {page.last_bad}", empty=True)
    found = reading(page.samples, rules)
    errors = {**found.errors, "other line": page.bad_lines}
    if page.unusable_type:
        errors["type"] = 1
    return replace(found, errors={reason: count for reason, count in errors.items() if count})
