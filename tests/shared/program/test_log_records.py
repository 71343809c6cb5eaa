"""What a log record may carry, where it says it comes from, and that none is lost."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xpu_shared.program.logs import LONGEST_LINE, ROOT, Log, configure

log = Log("demo")
Lines = Callable[[], list[str]]
anything = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.binary()
    | st.text(st.characters())
    | st.lists(st.text())
)


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    logger = logging.getLogger(ROOT)
    before = logger.handlers[:], logger.level, logger.propagate, logging.raiseExceptions
    yield
    logger.handlers[:], logger.level, logger.propagate, logging.raiseExceptions = before


@pytest.fixture
def written(capfd: pytest.CaptureFixture[str]) -> Lines:
    def lines() -> list[str]:
        return capfd.readouterr().err.splitlines()

    return lines


def test_a_record_names_its_caller(written: Lines) -> None:
    configure("json", 10)
    log.info("one")
    log.warning("two")
    log.error("three")
    log.verbose(10, "four")
    last = sys._getframe().f_lineno - 1

    callers = [json.loads(line)["caller"] for line in written()]
    assert callers == [f"test_log_records.py:{line}" for line in range(last - 3, last + 1)]


def test_numbers_and_booleans_are_not_quoted(written: Lines) -> None:
    configure("text", 0)
    log.info("counted", devices=4, ready=True, ratio=0.5, nothing=None, text="4", huge=2**80, endless=float("inf"))

    (line,) = written()
    assert line.endswith(
        '"counted" devices=4 ready=true ratio=0.5 nothing=null text="4" huge="1208925819614629174706176" endless="inf"'
    )


def test_json_fields_keep_their_types_and_never_replace_the_record_s_own(written: Lines) -> None:
    configure("json", 0)
    log.info("one", message="two", msg="three", level=4, ts=None, self="five", caller=True)

    (line,) = written()
    record = json.loads(line)
    assert (record["msg"], record["level"], record["logger"]) == ("one", "info", "demo")
    assert (record["message"], record["msg_"], record["level_"], record["ts_"]) == ("two", "three", 4, None)
    assert (record["self"], record["caller_"]) == ("five", True)


@pytest.mark.parametrize(("verbosity", "enabled"), [(0, False), (2, False), (3, True), (10, True)])
def test_dear_fields_need_not_be_made_for_nobody(verbosity: int, enabled: bool) -> None:
    configure("text", verbosity)
    assert log.enabled(3) is enabled


@pytest.mark.parametrize("log_format", ["text", "json"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(message=st.text(st.characters()), fields=st.dictionaries(st.text(st.characters()), anything, max_size=5))
def test_whatever_is_logged_is_one_line(
    written: Lines, log_format: str, message: str, fields: dict[str, object]
) -> None:
    configure(log_format, 0)
    log.info(message, **fields)

    (line,) = written()
    assert line.isprintable()
    if log_format == "json":
        assert json.loads(line)["msg"] == message


@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize("text", ["x", "\0", "é", "\U0001f600", "\ud800"])
@pytest.mark.parametrize("count", [1, 50, 5000])
def test_a_record_has_at_most_16_kib(written: Lines, log_format: str, text: str, count: int) -> None:
    configure(log_format, 0)
    log.error(text * 50_000, **{f"field{number}": text * 2000 for number in range(count)})

    (line,) = written()
    assert 1000 < len(line.encode()) <= LONGEST_LINE
    if log_format == "json":
        assert json.loads(line)["level"] == "error"


def test_without_verbosity_a_record_costs_no_rendering() -> None:
    class Dear:
        def __str__(self) -> str:
            raise AssertionError

    configure("text", 0)
    log.verbose(1, "not written", dear=Dear())


def test_no_record_is_lost_when_the_process_is_terminated() -> None:
    code = """
import os, signal
from xpu_shared.program.logs import Log, configure
configure("text", 0)
for number in range(1000):
    Log("demo").info("still here", number=number)
os.kill(os.getpid(), signal.SIGTERM)
"""
    done = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, timeout=30, check=False)

    assert done.returncode == -signal.SIGTERM
    assert re.findall(r"number=(\d+)", done.stderr) == [str(number) for number in range(1000)]


def test_a_reader_that_went_away_is_no_reason_to_fail() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    code = "from xpu_shared.program.logs import Log, configure; configure('text', 0); Log('demo').info('nobody reads')"
    done = subprocess.run([sys.executable, "-c", code], stderr=writer, timeout=30, check=False)
    os.close(writer)

    assert done.returncode == 0
