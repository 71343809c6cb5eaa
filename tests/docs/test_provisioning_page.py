"""What docs/provisioning.md shows is what the programs do."""

import re
from pathlib import Path

from provisioned import PF, DlbNode, IdxdNode, results
from xpu_plugins.dlb.provision.layout import read_layout
from xpu_shared.provisioning.engine import foreseen
from xpu_shared.provisioning.output import as_table
from xpu_simulator.families.idxd.device import Dsa

PAGE = (Path(__file__).parents[2] / "docs/provisioning.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, flags=re.DOTALL)


def test_four_shared_user_queues_are_planned_as_shown(tmp_path: Path) -> None:
    text = next(text for kind, text in BLOCKS if kind == "yaml" and text.startswith("- dev: dsaX"))
    shown = next(text for kind, text in BLOCKS if kind == "console" and "idxd-provision plan" in text)
    node = IdxdNode(tmp_path, Dsa(number=0))
    (tmp_path / "dsa.yaml").write_text(text)
    plans = node.provisioner(tmp_path / "dsa.yaml").plans()
    table = as_table([foreseen(plan) for plan in plans], Path("/sys"))

    lines = [re.sub(" +", " ", line.strip()) for line in table.splitlines()]
    of_plan = shown[: shown.index("# xpu-idxd-provision --config")].splitlines()[1:]
    for line in of_plan:
        assert "…" in line or re.sub(" +", " ", line.strip()) in lines, line
    assert results(node.apply(tmp_path / "dsa.yaml")) == {"dsa0": "changed"}
    assert [(one.mode, one.type) for one in node.state("dsa0").queues] == [("shared", "user")] * 4


def test_the_layout_of_load_balancers_is_taken(tmp_path: Path) -> None:
    text = next(text for kind, text in BLOCKS if kind == "yaml" and "default:" in text)
    (tmp_path / "dlb.yaml").write_text(text)
    node = DlbNode(tmp_path)

    assert set(read_layout(tmp_path / "dlb.yaml", "")) == {"default", PF}
    assert results(node.apply(config=tmp_path / "dlb.yaml")) == {PF: "changed"}
    assert len(node.state().functions) == 2
