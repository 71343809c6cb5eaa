"""Whole DSA functions: bound to vfio-pci, and back to idxd."""

import errno
from dataclasses import replace
from pathlib import Path

import pytest

from layouts import layout, queue
from provisioned import IdxdNode, Interposed, KilledError, results, short, text_of
from xpu_shared.program.flags import UsageError
from xpu_shared.provisioning.plan import LayoutError
from xpu_simulator.families.idxd.device import Dsa, Iaa

ADDRESS = Dsa(number=2).pci_address
VFIO = {"DSA_DRIVER": "vfio-pci"}


@pytest.fixture
def pair(tmp_path: Path) -> IdxdNode:
    return IdxdNode(tmp_path, Dsa(number=2), Iaa(number=3))


def test_a_function_is_unbound_overridden_and_bound(pair: IdxdNode) -> None:
    (outcome,) = pair.apply(driver="vfio-pci")

    assert (outcome.device, outcome.result) == ("dsa2", "changed")
    assert short(outcome) == [
        (f"{ADDRESS}/driver/unbind", ADDRESS),
        (f"{ADDRESS}/driver_override", "vfio-pci"),
        ("drivers/vfio-pci/bind", ADDRESS),
    ]
    assert (pair.tree.dev / "vfio/42").exists()
    assert results(pair.apply(environment=VFIO)) == {ADDRESS: "unchanged"}


def test_back_at_idxd_the_override_goes_and_the_device_is_configured(pair: IdxdNode) -> None:
    pair.apply(driver="vfio-pci")
    outcomes = pair.apply(layout(queue(0)), driver="idxd")

    assert results(outcomes) == {ADDRESS: "changed", "dsa2": "changed"}
    assert (f"{ADDRESS}/driver_override", "") in short(outcomes[0])
    assert [one.number for one in pair.state("dsa2").queues] == [0]
    assert results(pair.apply(layout(queue(0)), driver="idxd")) == {"dsa2": "unchanged"}


def test_without_a_word_what_was_given_to_vfio_comes_back_and_nothing_else(pair: IdxdNode) -> None:
    pair.apply(driver="vfio-pci")
    assert results(pair.apply(layout(queue(0)))) == {ADDRESS: "changed", "dsa2": "changed"}

    pair.sysfs.write(f"bus/pci/devices/{ADDRESS}/driver/unbind", ADDRESS)
    assert pair.apply(layout(queue(0))) == []
    assert results(pair.apply(layout(queue(0)), driver="idxd")) == {ADDRESS: "changed", "dsa2": "changed"}


def test_a_function_that_a_virtual_machine_has_open_is_kept(pair: IdxdNode) -> None:
    pair.apply(driver="vfio-pci")
    (pair.tree.sysfs / "bus/pci/devices" / ADDRESS / "enable").write_text("1\n")
    (outcome,) = pair.apply(layout(queue(0)))

    assert (outcome.result, outcome.writes) == ("busy", ())
    assert "is enabled: a program or virtual machine has it open" in outcome.messages[0]


def test_a_function_that_cannot_be_read_costs_only_itself(tmp_path: Path) -> None:
    node = IdxdNode(tmp_path, Dsa(number=2), Dsa(number=4))
    node.apply(driver="vfio-pci")
    outcomes = node.apply(layout(queue(0)), sysfs=Unreadable(node.sysfs))

    assert results(outcomes)["dsa4"] == "changed"


class Unreadable(Interposed):
    """A function's `enable` cannot be read."""

    def read(self, path: str) -> str:
        if path.endswith(f"{ADDRESS}/enable"):
            raise OSError(errno.EIO, "Input/output error", path)
        return super().read(path)


def test_a_function_with_clients_is_kept(pair: IdxdNode) -> None:
    pair.apply(layout(queue(0)))
    (configured,) = pair.state("dsa2").queues
    pair.become("dsa2", queues=(replace(configured, clients=1),))
    (outcome,) = pair.apply(driver="vfio-pci")

    assert (outcome.result, outcome.wrong) == ("busy", False)
    assert outcome.messages == ("dsa2 has 1 clients; pending change: driver idxd → vfio-pci",)


def test_a_function_that_a_process_has_open_is_kept(pair: IdxdNode) -> None:
    pair.apply(driver="vfio-pci")
    with (pair.tree.dev / "vfio/42").open():
        outcomes = pair.apply(layout(queue(0)), driver="idxd", on_busy="fail")

    assert results(outcomes) == {ADDRESS: "busy"}
    assert outcomes[0].wrong
    assert "is open as" in text_of(outcomes)


def test_a_driver_that_is_not_there_is_named(pair: IdxdNode) -> None:
    for file in ("bind", "unbind"):
        (pair.tree.sysfs / f"bus/pci/drivers/vfio-pci/{file}").unlink()
    (pair.tree.sysfs / "bus/pci/drivers/vfio-pci").rmdir()
    with pytest.raises(LayoutError, match="bus/pci/drivers/vfio-pci is missing: load the module vfio-pci"):
        pair.apply(driver="vfio-pci")


def test_without_any_function_that_is_told(pair: IdxdNode, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="xpu"):
        assert pair.apply(environment={**VFIO, "DSA_PCI_IDS": "11fb"}) == []
    assert "no functions" in caplog.text


def test_vfio_is_not_for_iaa(pair: IdxdNode) -> None:
    with pytest.raises(UsageError, match="vfio-pci is for DSA"):
        pair.provisioner(environment={"DSA_DRIVER": "vfio-pci", "DEVICE_TYPE": "iaa"})


def test_a_bind_that_fails_gives_the_function_back_with_its_queues(pair: IdxdNode) -> None:
    pair.apply(layout(queue(0)))
    before = pair.state("dsa2")
    kernel = Interposed(pair.sysfs, refused={"vfio-pci/bind": errno.EINVAL})
    (outcome,) = pair.apply(driver="vfio-pci", sysfs=kernel)

    assert (outcome.result, outcome.wrong) == ("failed", True)
    assert pair.state("dsa2").state == "enabled"
    assert pair.state("dsa2").queues == tuple(
        replace(one, op_config=pair.state("dsa2").queues[0].op_config) for one in before.queues
    )


def test_killed_at_any_write_and_run_again_it_is_bound(pair: IdxdNode) -> None:
    for number in range(3):
        with pytest.raises(KilledError):
            pair.apply(driver="vfio-pci", sysfs=Interposed(pair.sysfs, killed_at=number, after_it=True))
        pair.apply(driver="vfio-pci")
        assert (pair.tree.sysfs / "bus/pci/devices" / ADDRESS / "driver").resolve().name == "vfio-pci"
        pair.apply(layout(queue(0)), driver="idxd")
        assert pair.state("dsa2").state == "enabled"
