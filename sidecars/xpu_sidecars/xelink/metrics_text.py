"""The text of XPU Manager's metrics page, as far as it is about links: lines in, samples out.

The exporter sorts all its lines as text, comments first, so a family's lines may be anywhere. Each line is parsed for
itself: a bad one of another family costs nothing.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

FAMILY = "xpum_topology_link"
NAME = re.compile(rf"{FAMILY}(?![A-Za-z0-9_:])")
TYPE = re.compile(rf"#\s+TYPE\s+{FAMILY}\s+(\S+)")
USABLE_TYPES = frozenset(("gauge", "untyped", "unknown"))
VALUE = r"[+-]?(?:[0-9][0-9.eE+-]*|\.[0-9][0-9eE+-]*|[iI]nf|[nN]a[nN])"
LINE = re.compile(rf"[A-Za-z_:][A-Za-z0-9_:]*(?:\s*\{{.*\}}\s*|\s+){VALUE}(?:\s+-?[0-9]+)?")
LONGEST_LINE = 16_384  # characters; pod labels make long lines
MOST_LINES = 200_000
MOST_ABOUT_LINKS = 4 * 1024 * 1024  # characters: a second or two of parsing


class MalformedLineError(ValueError):
    """A line that is no sample; the text shows its beginning."""

    def __init__(self, line: str) -> None:
        super().__init__(f"not a sample: {line[:120]!a}")


class TooLargeError(ValueError):
    """A page of more than any node has to tell; the text says of what."""


@dataclass(frozen=True, slots=True)
class Sample:
    labels: Mapping[str, str]  # in the order of the line
    value: float


@dataclass(slots=True)
class Page:
    """What is in a page."""

    samples: list[Sample]  # of links, in order
    lines: int = 0  # good ones of any family
    bad_lines: int = 0  # of other families
    bad_links: int = 0  # lines of this family that are none
    unusable_type: str = ""  # that the family has; its samples are left out
    first_bad: str = ""  # the beginning of the first bad line of any family
    last_bad: str = ""  # and of the last one
    cut_off: bool = False  # it ends within a line, so links may have followed


def parse(body: bytes, *, strict: bool = False) -> Page:
    """Read a page; `strict` looks at every line of every family as closely as at links. TooLargeError."""
    page = Page(samples=[])
    line, count, about_links = "", 0, 0
    for line in lines(body):
        count += 1
        if line.startswith("#"):
            if (found := TYPE.match(line)) and found[1] not in USABLE_TYPES:
                page.unusable_type = found[1]
            continue
        ours = NAME.match(line) is not None
        about_links += ours * len(line)
        if count > MOST_LINES or about_links > MOST_ABOUT_LINKS:
            raise TooLargeError(f"more than {MOST_LINES} lines, or {MOST_ABOUT_LINKS} characters about links")
        try:
            sample = parsed(line) if ours or strict else None
            if sample is None:
                check(line)
        except MalformedLineError as error:
            page.last_bad = str(error)
            page.first_bad = page.first_bad or page.last_bad
            page.bad_links += ours
            page.bad_lines += not ours
            page.cut_off = not ours
            continue
        page.cut_off = False
        page.lines += 1
        if ours and sample is not None:
            page.samples.append(sample)
    # The exporter sorts its lines and ends the last one with nothing.
    page.cut_off &= not body.endswith(b"\n") and (FAMILY.startswith(line) or not page.samples)
    if page.unusable_type:
        page.samples.clear()
    return page


def lines(body: bytes) -> Iterator[str]:
    """Those with anything in them, without the blanks around."""
    begin = 0
    while begin < len(body):  # one by one: a page may have millions
        end = body.find(b"\n", begin)
        end = len(body) if end < 0 else end
        stripped = body[begin:end].decode("utf-8", "replace").strip(" \t\r")
        begin = end + 1
        if stripped:
            yield stripped


def parsed(line: str) -> Sample:
    """The sample of a line; MalformedLineError."""
    if len(line) > LONGEST_LINE or "\0" in line:
        raise MalformedLineError(line)
    try:
        ((sample,),) = [family.samples for family in text_string_to_metric_families(f"{line}\n")]
    except (ValueError, IndexError, KeyError, TypeError) as error:
        raise MalformedLineError(line) from error
    return Sample(labels=sample.labels, value=float(sample.value))


def check(line: str) -> None:
    """A quick look at a line that nobody needs; MalformedLineError when it cannot be a sample."""
    if len(line) > LONGEST_LINE or not LINE.fullmatch(line):
        raise MalformedLineError(line)
