"""Provisioning's worked examples, D to F of the specification."""

from dataclasses import replace
from pathlib import Path

from layouts import BULK, layout, queue
from provisioned import IdxdNode, results, short, text_of
from xpu_simulator.families.idxd.device import Dsa


def test_example_d_a_fresh_device_is_configured_in_the_order_of_the_kernel(node: IdxdNode) -> None:
    (outcome,) = node.apply(BULK)

    assert (outcome.device, outcome.result) == ("dsa11", "changed")
    assert short(outcome) == [
        ("wq11.5/group_id", "1"),
        ("wq11.5/mode", "shared"),
        ("wq11.5/type", "user"),
        ("wq11.5/size", "40"),
        ("wq11.5/priority", "7"),
        ("wq11.5/block_on_fault", "1"),
        ("wq11.5/driver_name", "user"),
        ("wq11.5/name", "bulk115"),
        ("wq11.5/threshold", "30"),
        ("engine11.2/group_id", "1"),
        ("drivers/idxd/bind", "dsa11"),
        ("drivers/user/bind", "wq11.5"),
    ]
    assert (node.tree.dev / "dsa/wq11.5").exists()
    assert node.state().queues[0].threshold == 30


def test_example_d_again_is_unchanged(node: IdxdNode) -> None:
    node.apply(BULK)
    (outcome,) = node.apply(BULK)

    assert (outcome.result, outcome.writes) == ("unchanged", ())


def test_example_e_sizes_above_the_devices_cost_that_device_and_no_other(tmp_path: Path) -> None:
    node = IdxdNode(tmp_path, Dsa(number=2), Dsa(number=11))
    refused, good = layout(queue(0, size=96), queue(1, size=48), dev="dsa11"), layout(queue(0), dev="dsa2")
    outcomes = node.apply([*refused, *good])

    assert results(outcomes) == {"dsa2": "changed", "dsa11": "refused"}
    assert text_of(outcomes).endswith(
        "layout.json: dsa11: groups[0].grouped_workqueues: sizes sum to 144, device has 128"
    )
    assert outcomes[1].writes == ()
    assert outcomes[1].wrong


def test_example_f_a_device_with_clients_keeps_what_it_has(tmp_path: Path) -> None:
    node = IdxdNode(tmp_path, Dsa(number=4), configured=False)
    node.apply(layout(queue(0)))
    (configured,) = node.state("dsa4").queues
    node.become("dsa4", queues=(replace(configured, clients=2),))
    (outcome,) = node.apply(layout(queue(0, priority=12)))

    assert (outcome.result, outcome.wrong, outcome.writes) == ("busy", False, ())
    assert outcome.messages == ("dsa4 has 2 clients; pending change: wq4.0 priority 10 → 12",)
    assert node.state("dsa4").state == "enabled"
    assert node.apply(layout(queue(0, priority=12)), on_busy="fail")[0].wrong
    assert results(node.apply(layout(queue(0, priority=12)), on_busy="force")) == {"dsa4": "changed"}
    assert node.state("dsa4").queues[0].priority == 12
