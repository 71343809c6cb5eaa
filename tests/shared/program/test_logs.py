import json
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpu_shared.program.logs import SHOWN_AT_ONCE, Changes

PROGRAM = """
import sys
from xpu_shared.program.logs import Log, configure

class Broken:
    def __str__(self):
        raise RuntimeError("no")

configure(sys.argv[1], int(sys.argv[2]))
log = Log("demo")
log.info("started", name="a b", path="x\\ny", empty="")
log.verbose(2, "detail")
log.warning("odd\\nmessage", broken=Broken(), raw=b"\\xff", surrogate="\\ud800", nul="\\0")
log.error("long", text="x" * 1_000_000)
"""


def lines(log_format: str, verbosity: int = 0) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, log_format, str(verbosity)], capture_output=True, text=True, check=True
    )
    return done.stderr.splitlines()


def test_a_text_record_is_one_line_with_header_message_and_fields() -> None:
    first, second, third = lines("text")

    assert re.fullmatch(
        r'I\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ <string>:11\] "started" name="a b" path="x\\ny" empty=""', first
    )
    assert second.startswith("W")
    assert '"odd\\nmessage" broken="<Broken: RuntimeError>"' in second
    assert third.startswith("E")
    assert len(third) <= 16 * 1024


def test_a_json_record_is_one_object() -> None:
    records = [json.loads(line) for line in lines("json")]

    assert [record["level"] for record in records] == ["info", "warning", "error"]
    assert records[0]["msg"] == "started"
    assert records[0]["caller"] == "<string>:11"
    assert (records[0]["name"], records[0]["path"]) == ("a b", "x\ny")
    assert records[1]["nul"] == "\0"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", records[0]["ts"])


@pytest.mark.parametrize(("verbosity", "count"), [(0, 3), (1, 3), (2, 4), (2**31 - 1, 4)])
def test_details_are_there_for_those_who_ask(verbosity: int, count: int) -> None:
    assert len(lines("text", verbosity)) == count


def test_a_closed_standard_error_is_no_reason_to_fail() -> None:
    code = f"import os, sys; os.close(2); sys.argv = ['', 'text', '0']\n{PROGRAM}"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_closed_standard_descriptors_are_given_to_nobody_else() -> None:
    """Or log lines would be written into the socket or CDI file that is opened next."""
    code = f"""
import os, sys
for number in range(3):
    os.close(number)
sys.argv = ["", "text", "0"]
{PROGRAM}
os._exit(os.open(os.devnull, os.O_RDONLY))
"""
    done = subprocess.run([sys.executable, "-c", code], timeout=30, check=False)

    assert done.returncode == 3


def test_a_problem_is_new_once_and_gone_once() -> None:
    changes = Changes()
    first = changes.report(["a", "b"])
    second = changes.report(["a", "b"])
    third = changes.report(["b", "c"])

    assert (first.new, first.gone) == (("a", "b"), ())
    assert (second.new, second.gone) == ((), ())
    assert (third.new, third.gone) == (("c",), ("a",))


def test_many_problems_at_once_are_a_few_lines_and_a_count() -> None:
    change = Changes().report(f"problem {number}" for number in range(10_000))

    assert len(change.new) == SHOWN_AT_ONCE
    assert change.more == 10_000 - SHOWN_AT_ONCE


@given(st.lists(st.sets(st.sampled_from("abcdef")), max_size=8))
def test_new_and_gone_add_up_to_what_there_is(reports: list[set[str]]) -> None:
    changes, known = Changes(), set[str]()
    for report in reports:
        change = changes.report(report)
        assert not known & set(change.new)
        known = (known | set(change.new)) - set(change.gone)
        assert known == report
