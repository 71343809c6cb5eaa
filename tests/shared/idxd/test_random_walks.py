"""Whatever happens to a queue in whatever order, what is told of it is true at each look."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handmade_idxd import HandmadeIdxd, write
from xpu_shared.device import Health
from xpu_shared.idxd.queues import Memory

STATES = ("enabled", "disabled", "halted", "unknown")


@dataclass(frozen=True)
class Moment:
    """How things stand at one look."""

    device: str
    queue: str
    mode: str
    file: bool
    link: bool

    def happen(self, node: HandmadeIdxd, device: Path) -> None:
        write(device, {"state": self.device})
        write(device / "wq2.0", {"state": self.queue, "mode": self.mode})
        (node.dev / "dsa/wq2.0").unlink(missing_ok=True)
        (node.dev / "char/511:4").unlink(missing_ok=True)
        if self.file:
            node.file("dsa/wq2.0")
        if self.link:
            node.link("511:4", "../dsa/wq2.0")


MOMENTS = st.builds(
    Moment,
    st.sampled_from(STATES),
    st.sampled_from(("enabled", "disabled")),
    st.sampled_from(("dedicated", "shared")),
    st.booleans(),
    st.booleans(),
)


@given(st.lists(MOMENTS, min_size=1, max_size=8))
@settings(max_examples=60)
def test_each_look_tells_the_truth(tmp_path_factory: pytest.TempPathFactory, moments: list[Moment]) -> None:
    node = HandmadeIdxd(tmp_path_factory.mktemp("node"))
    device = node.device("dsa2")
    node.queue(device, "wq2.0", file=False, link=False)
    memory, listed = Memory(), set[str]()
    for number, moment in enumerate(moments):
        moment.happen(node, device)
        look = node.look(before=memory, later=60.0 * (number + 1), shared_dev_num=2)
        result, memory = look.result, look.memory
        found = {device.id: device for devices in result.devices.values() for device in devices}

        usable = moment.device == moment.queue == "enabled" and moment.file
        healthy = {id_ for id_, device in found.items() if device.health is Health.HEALTHY}
        slots = range(2 if moment.mode == "shared" else 1)
        assert healthy == {f"wq-user-{moment.mode}-wq2.0-{slot}" for slot in slots if usable}
        assert all(device.reason for device in found.values() if device.id not in healthy)
        assert all(len(found[id_].nodes) == 1 + moment.link for id_ in healthy)
        # What was listed and is no more has a reason, for its tombstone.
        reasons = {id_: reason for losses in result.losses.values() for id_, reason in losses.items()}
        assert listed - found.keys() <= {id_ for id_, reason in reasons.items() if reason}
        listed = set(found)
