"""The command line that every plugin's program has, and its `discover`."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import pytest

from framework import DemoPlugin, unit
from xpu_shared.device import CdiDevice, Health, Mount, Problem, ScanResult
from xpu_shared.plugin_program import PluginProgram
from xpu_shared.program.options import Choice, Integer
from xpu_shared.program.settings import FamilySettings, Loaded
from xpu_shared.program.table import CDI_DEVICE, Column


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSettings(FamilySettings):
    units: Annotated[int, Integer(minimum=0, maximum=100_000, help="how many units there are")] = 2


class Demo(DemoPlugin):
    def __init__(self, settings: DemoSettings) -> None:
        super().__init__(devices={"unit": [unit(f"unit{number}") for number in range(settings.units)]})


PROGRAM = PluginProgram(
    name="xpu-demo-plugin", description="A demo.", settings_type=DemoSettings, plugin=Demo, unit="unit"
)


def test_discover_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert PROGRAM.main(["discover"]) == 0

    out, err = capsys.readouterr()
    assert [line.split() for line in out.splitlines()] == [
        ["RESOURCE", "DEVICES", "HEALTH", "NUMA", "FILES", "IN", "/dev"],
        ["demo.intel.com/unit", "unit0", "Healthy", "-", "unit0"],
        ["demo.intel.com/unit", "unit1", "Healthy", "-", "unit1"],
    ]
    assert not err


def test_nothing_to_offer_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert replace(PROGRAM, plugin=lambda _: DemoPlugin(devices={})).main(["discover"]) == 0

    assert capsys.readouterr().out == "No unit is offered.\n"


def test_a_family_has_columns_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    cdi = CdiDevice(kind="intel.cdi.k8s.io/demo", name="unit0")
    devices = [replace(unit("unit0"), cdi=cdi, mounts=(Mount(host_path="/a", container_path="/b"),)), unit("unit1")]
    program = replace(
        PROGRAM,
        plugin=lambda _: DemoPlugin(devices={"unit": devices}),
        columns=(
            Column("MOUNTS", lambda device: " ".join(mount.container_path for mount in device.mounts)),
            CDI_DEVICE,
        ),
    )

    assert program.main(["discover"]) == 0

    header, first, second = capsys.readouterr().out.splitlines()
    assert header.endswith("FILES IN /dev  MOUNTS  CDI DEVICE")
    assert first.split()[-2:] == ["/b", "intel.cdi.k8s.io/demo=unit0"]
    assert second.split()[-2:] == ["-", "-"]


def test_why_a_device_is_unhealthy_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    sick = [replace(unit("unit"), id=f"unit-{n}", health=Health.UNHEALTHY, reason="it is halted") for n in range(3)]
    program = replace(PROGRAM, plugin=lambda _: DemoPlugin(devices={"unit": [*sick, unit("well")]}))

    assert program.main(["discover"]) == 0
    table = capsys.readouterr().out
    assert program.main(["discover", "--output=json"]) == 0
    (resource,) = json.loads(capsys.readouterr().out)["resources"]

    assert "\n\nUNHEALTHY" in table
    assert "unit-0 .. unit-2  it is halted\n" in table
    assert [device.get("reason") for device in resource["devices"]] == ["it is halted"] * 3 + [None]


def test_json_tells_of_environment_and_annotations_where_there_are_some(capsys: pytest.CaptureFixture[str]) -> None:
    with_some = replace(unit("unit0"), envs={"A": "1"}, annotations={"b": "2"})
    program = replace(PROGRAM, plugin=lambda _: DemoPlugin(devices={"unit": [with_some, unit("unit1")]}))

    assert program.main(["discover", "--output=json"]) == 0

    first, second = json.loads(capsys.readouterr().out)["resources"][0]["devices"]
    assert (first["envs"], first["annotations"]) == ({"A": "1"}, {"b": "2"})
    assert second.keys() == first.keys() - {"envs", "annotations"}


def test_problems_are_told_apart_from_devices_that_are_not_offered(capsys: pytest.CaptureFixture[str]) -> None:
    class Troubled(DemoPlugin):
        def scan(self) -> ScanResult:
            problems = (Problem(subject="unit7", text="broken", rejected=True), Problem(subject="unit8", text="odd"))
            return ScanResult(devices={}, problems=problems)

    assert replace(PROGRAM, plugin=lambda _: Troubled()).main(["discover"]) == 0

    out = capsys.readouterr().out
    assert "NOT OFFERED  REASON\nunit7        broken\n" in out
    assert "ABOUT  PROBLEM\nunit8  odd\n" in out


def test_when_nothing_can_be_seen_it_is_one_line_and_exit_1(capsys: pytest.CaptureFixture[str]) -> None:
    class Blind(DemoPlugin):
        def scan(self) -> ScanResult:
            raise OSError(5, "Input/output error", "/sys/bus/demo")

    assert replace(PROGRAM, plugin=lambda _: Blind()).main(["discover"]) == 1

    out, err = capsys.readouterr()
    assert not out
    assert err == "xpu-demo-plugin: no unit can be seen: [Errno 5] Input/output error: '/sys/bus/demo'\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--units=-1"], "flag --units: expected an integer from 0 to 100000, found '-1'"),
        (["discovr"], "unexpected argument 'discovr': expected discover"),
        (["--output=json"], "--output=json is only for discover"),
    ],
)
def test_a_command_line_that_cannot_be_used_is_one_line_and_exit_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert PROGRAM.main(arguments) == 2
    assert capsys.readouterr().err == f"xpu-demo-plugin: {message}\n"


def test_an_option_may_end_its_program_with_1_as_the_one_it_replaces_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Strict(FamilySettings):
        shares: Annotated[int, Integer(minimum=1, maximum=9, out_of_range_exit=1, help="shares")] = 1
        driver: Annotated[str, Choice(values=("a", "b"), out_of_range_exit=1, help="driver")] = "a"

    program = PluginProgram(name="x", description="x", settings_type=Strict, plugin=lambda _: DemoPlugin(), unit="unit")
    config = tmp_path / "settings.yaml"
    config.write_text("shares: 10\n")

    assert program.main(["--shares=0"]) == 1
    assert program.main(["--driver=c"]) == 1
    assert program.main([f"--config={config}"]) == 1
    assert program.main(["--shares=many"]) == 2
    assert program.main(["--shares"]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert errors[0] == "x: flag --shares: expected an integer from 1 to 9, found '0'"
    assert errors[1] == "x: flag --driver: expected one of a, b, found 'c'"
    assert len(errors) == 5


def test_help_lists_the_word_and_the_flags(capsys: pytest.CaptureFixture[str]) -> None:
    assert PROGRAM.main(["--help"]) == 0

    out = capsys.readouterr().out
    assert "Usage: xpu-demo-plugin [discover] [flags]" in out
    assert "--units" in out
    assert "--output" in out


def test_settings_may_follow_from_what_was_given(capsys: pytest.CaptureFixture[str]) -> None:
    def three_unless_given(loaded: Loaded[DemoSettings]) -> DemoSettings:
        return loaded.settings if "units" in loaded.given else replace(loaded.settings, units=3)

    program = replace(PROGRAM, settings=three_unless_given)
    assert program.main(["discover"]) == 0
    assert capsys.readouterr().out.count("Healthy") == 3
    assert program.main(["discover", "--units=1"]) == 0
    assert capsys.readouterr().out.count("Healthy") == 1


def test_what_the_kubelet_would_refuse_is_not_offered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    deep = tmp_path / ("d" * 100)

    assert PROGRAM.main(["discover", f"--kubelet-dir={deep}"]) == 0

    assert "at most 107 are possible" in capsys.readouterr().out
