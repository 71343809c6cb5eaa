"""The program: commands, what it prints where, exit codes; in this process, on a simulated kernel."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from layouts import BULK, layout, queue
from provisioned import HandClock, IdxdNode, Interposed, logging_as_it_was, results
from xpu_plugins.idxd_provision.program import PROGRAM
from xpu_shared.provisioning.lock import locked
from xpu_simulator.families.idxd.device import Dsa


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    with logging_as_it_was():
        yield


def run(node: IdxdNode, *arguments: str, layout: object = BULK) -> int:
    roots = [f"--config={node.file(layout)}", f"--sysfs-root={node.tree.sysfs}", f"--dev-root={node.tree.dev}"]
    return PROGRAM.main([*arguments, *roots], sysfs=node.sysfs, clock=HandClock())


def test_a_plan_says_exactly_what_apply_then_does(node: IdxdNode, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(node, "plan", "--output=json") == 0
    (planned,) = json.loads(capfd.readouterr().out)["devices"]
    assert (planned["device"], planned["result"]) == ("dsa11", "change")
    assert planned["writes"][0] == {
        "path": f"{node.tree.sysfs}/bus/dsa/devices/wq11.5/group_id",
        "value": "1",
        "before": "-1",
    }
    assert node.state().queues == ()

    assert run(node, "--output=json") == 0
    (applied,) = json.loads(capfd.readouterr().out)["devices"]
    assert (applied["result"], applied["writes"]) == ("changed", planned["writes"])

    assert run(node, "apply", "--output=json") == 0
    assert json.loads(capfd.readouterr().out) == {"devices": [{"device": "dsa11", "result": "unchanged", "writes": []}]}


@pytest.mark.parametrize("words", [("plan",), ("provision", "--plan"), ("--plan",)])
def test_the_specifications_words_are_the_same(node: IdxdNode, words: tuple[str, ...]) -> None:
    assert run(node, *words) == 0
    assert node.state().queues == ()
    assert run(node, "provision") == 0
    assert node.state().queues != ()


def test_tables_are_for_people(node: IdxdNode, capfd: pytest.CaptureFixture[str]) -> None:
    run(node)
    out = capfd.readouterr().out
    assert out.startswith("dsa11: changed\n  WRITE TO")
    assert f"{node.tree.sysfs}/bus/dsa/drivers/user/bind" in out
    run(node)
    assert capfd.readouterr().out == "dsa11: unchanged\n"


def test_status_ends_with_1_until_all_is_as_wished(node: IdxdNode) -> None:
    assert run(node, "status") == 1
    assert run(node) == 0
    assert run(node, "status") == 0
    configured = node.state().queues[0]
    node.become(queues=(replace(configured, clients=1),))
    assert run(node, "status", layout=layout(queue(0))) == 1
    assert run(node, "plan", layout=layout(queue(0))) == 0
    assert run(node, layout=layout(queue(0))) == 0
    assert run(node, "--on-busy=fail", layout=layout(queue(0))) == 1


def test_a_refusal_is_one_line_on_standard_error_and_ends_with_1(
    node: IdxdNode, capfd: pytest.CaptureFixture[str]
) -> None:
    for word in ("plan", "apply", "status"):
        assert run(node, word, layout=layout(queue(0, priority=99))) == 1
        said = capfd.readouterr()
        (line,) = [line for line in said.err.splitlines() if "priority" in line]
        assert f"{node.root}/layout.json: dsa11: groups[0].grouped_workqueues[0].priority: expected 1 to 15" in line
        assert said.out == "dsa11: refused\n"


def test_a_file_that_cannot_be_used_ends_with_1_and_json_stays_json(
    node: IdxdNode, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(node, "--output=json", layout="[1,,]") == 1
    said = capfd.readouterr()
    assert json.loads(said.out) == {"devices": []}
    assert "not JSON: line 1 column 4" in said.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--on-busy=maybe",), ("--no-such-flag",), ("destroy",), ("plan", "status"), ("plan", "--watch"),
        ("status", "--plan"), ("--output=xml",), ("--driver=uio",), ("--lock-file=",),
    ],
)  # fmt: skip
def test_a_bad_command_line_ends_with_2(node: IdxdNode, arguments: tuple[str, ...]) -> None:
    assert run(node, *arguments) == 2


def test_help_names_the_commands_and_flags(capsys: pytest.CaptureFixture[str]) -> None:
    assert PROGRAM.main(["--help"]) == 0
    out = capsys.readouterr().out
    for word in ("plan", "apply", "status", "--on-busy keep|fail|force", "--conf-dir", "--watch", "--lock-file"):
        assert word in out
    assert "kubelet" not in out


def test_the_lock_lies_beside_another_root_and_plans_need_none(node: IdxdNode) -> None:
    with locked(node.tree.sysfs.parent / "idxd-provision.lock"):
        assert run(node, "plan") == 0
        assert run(node, "status") == 1
        assert run(node, "apply") == 1
    assert node.state().queues == ()
    assert run(node, "apply") == 0


def test_a_missing_file_of_a_queue_is_told_after_5_seconds(node: IdxdNode, capfd: pytest.CaptureFixture[str]) -> None:
    clock = HandClock()
    roots = [f"--config={node.file(BULK)}", f"--sysfs-root={node.tree.sysfs}", f"--dev-root={node.root / 'nothing'}"]

    assert PROGRAM.main(roots, sysfs=node.sysfs, clock=clock) == 0
    assert 5.0 <= clock.now < 5.5
    assert f"{node.root}/nothing/dsa/wq11.5 is missing: mount the host's /dev" in capfd.readouterr().err


def test_a_missing_link_says_that_udev_is_not_running(node: IdxdNode, capfd: pytest.CaptureFixture[str]) -> None:
    dev = node.root / "dev"
    (dev / "dsa").mkdir(parents=True)
    (dev / "dsa/wq11.5").touch()
    roots = [f"--config={node.file(BULK)}", f"--sysfs-root={node.tree.sysfs}", f"--dev-root={dev}"]

    assert PROGRAM.main(roots, sysfs=node.sysfs, clock=HandClock()) == 0
    assert f"{dev}/char/120:93 is missing: udev is not running" in capfd.readouterr().err


def test_the_program_starts_and_plans_without_what_it_does_not_need(node: IdxdNode) -> None:
    code = (
        "import sys; from xpu_plugins.idxd_provision.program import PROGRAM; code = PROGRAM.main(sys.argv[1:]);"
        "print(sorted({'pydantic', 'yaml', 'grpc', 'pyudev', 'asyncio', 'ssl'} & sys.modules.keys()), file=sys.stderr);"
        "sys.exit(code)"
    )
    roots = [f"--config={node.file(BULK)}", f"--sysfs-root={node.tree.sysfs}"]
    done = subprocess.run([sys.executable, "-c", code, "plan", *roots], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr.splitlines()[-1]) == (0, "[]")


def test_a_device_that_is_used_meanwhile_is_left_alone(tmp_path: Path) -> None:
    node = IdxdNode(tmp_path, Dsa(number=0), Dsa(number=2))
    node.apply(BULK)

    class Opened(Interposed):
        """A client opens a queue of dsa2 while dsa0 is configured."""

        def write(self, path: str, text: str) -> None:
            if not self.writes:
                node.become("dsa2", queues=(replace(node.state("dsa2").queues[0], clients=1),))
            super().write(path, text)

    kernel = Opened(node.sysfs)
    outcomes = node.apply(layout(queue(0)), sysfs=kernel)

    assert results(outcomes) == {"dsa0": "changed", "dsa2": "busy"}
    assert not any("wq2." in path for path, _ in kernel.writes)


def test_a_kernel_that_forgets_what_was_written_is_told(node: IdxdNode) -> None:
    class Forgetful(Interposed):
        def write(self, path: str, text: str) -> None:
            super().write(path, text)
            if path.endswith("user/bind"):
                (queue,) = node.state().queues
                node.become(queues=(replace(queue, priority=1),))

    (outcome,) = node.apply(BULK, sysfs=Forgetful(node.sysfs))
    assert (outcome.result, outcome.wrong) == ("failed", True)
    assert "writes more are needed" in outcome.messages[0]


def test_eight_devices_with_eight_queues_take_less_than_a_second_of_planning(tmp_path: Path) -> None:
    node = IdxdNode(tmp_path, *(Dsa(number=2 * number) for number in range(8)))
    entries = layout(*(queue(number, size=16) for number in range(8)))
    started = time.perf_counter()
    plans = node.provisioner(entries).plans()

    assert len(plans) == 8
    assert sum(len(plan.writes) for plan in plans) == 8 * (8 * 8 + 4 + 1 + 8)
    assert time.perf_counter() - started < 5  # bench measures; this holds the order of magnitude on any machine
