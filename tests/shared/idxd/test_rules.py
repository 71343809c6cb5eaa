"""What an administrator may say of single queues."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handmade_idxd import HandmadeIdxd, write
from scans import ids, told
from xpu_shared.idxd.rules import NamePattern, ShareRule, ShareRules
from xpu_shared.idxd.settings import IdxdSettings
from xpu_shared.program.flags import UsageError
from xpu_shared.program.settings import load

RULES = ShareRules(help="")
PATTERN = re.compile("^(?P<res>[a-z0-9-]+)_")


@pytest.fixture
def device(node: HandmadeIdxd) -> Path:
    return node.device("dsa2")


def shared(node: HandmadeIdxd, device: Path, number: int, **attributes: str) -> None:
    values = {"mode": "shared", "size": "16", **attributes}
    node.queue(device, f"wq2.{number}", minor=number, attributes=values)


def test_rules_are_read_and_shown() -> None:
    rules = RULES.parse("name=app*:8, size>=32:16")

    assert rules == (ShareRule("name=app*", 8), ShareRule("size>=32", 16))
    assert RULES.show(rules) == "name=app*:8,size>=32:16"
    assert RULES.accept(["name=app*:8", "size>=32:16"]) == rules
    assert RULES.parse("") == ()


@pytest.mark.parametrize(
    "text",
    ["app*:8", "name=app*", "name=:8", "size>32:8", "size>=x:8", "colour=1:8", "size=1:0", "size=1:100001", "size=1:-1",
     ":8", "name=a:b", "size=1:8,", ",".join(["size=1:8"] * 65)],
)  # fmt: skip
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        RULES.parse(text)


@given(st.text(max_size=60))
def test_any_text_is_rules_or_refused(text: str) -> None:
    try:
        rules = RULES.parse(text)
    except ValueError:
        return
    assert RULES.parse(RULES.show(rules)) == rules


@given(st.integers(0, 10**9 - 1), st.integers(0, 10**9 - 1))
def test_numbers_are_compared_as_numbers(found: int, value: int) -> None:
    def matches(sign: str) -> bool:
        return ShareRule(f"size{sign}{value}", 1).matches(lambda _: str(found))

    assert (matches("="), matches(">="), matches("<=")) == (found == value, found >= value, found <= value)


def test_the_first_rule_that_matches_counts_and_the_flag_last(node: HandmadeIdxd, device: Path) -> None:
    shared(node, device, 0, name="app1", size="64")
    shared(node, device, 1, name="other", size="32")
    shared(node, device, 2, name="other")
    node.queue(device, "wq2.3", minor=3, attributes={"name": "app3"})

    queues = node.look(shared_dev_num=2, shared_dev_num_rule=RULES.parse("name=app*:8,size>=32:3")).queues

    assert {queue.name: queue.slots for queue in queues} == {"wq2.0": 8, "wq2.1": 3, "wq2.2": 2, "wq2.3": 1}


def test_a_queue_whose_attribute_cannot_be_read_has_the_flags_number(node: HandmadeIdxd, device: Path) -> None:
    shared(node, device, 0)
    (device / "wq2.0/size").unlink()

    look = node.look(shared_dev_num=2, shared_dev_num_rule=RULES.parse("size>=1:3"))

    assert look.queues[0].slots == 2
    assert "no rule of --shared-dev-num-rule is used" in told(look.result)[0][1]
    write(device / "wq2.0", {"size": "many"})
    assert node.look(shared_dev_num=2, shared_dev_num_rule=RULES.parse("size>=1:3")).queues[0].slots == 2


def test_a_name_may_choose_the_resource_and_ids_stay_what_they_are(node: HandmadeIdxd, device: Path) -> None:
    shared(node, device, 0, name="fast_3")
    shared(node, device, 1, name="slow")

    result = node.scan(resource_from_name=PATTERN)

    assert ids(result) == {
        "wq-user-shared-fast": ["wq-user-shared-wq2.0-0"],
        "wq-user-shared": ["wq-user-shared-wq2.1-0"],
    }


def test_a_name_that_is_no_part_of_a_resources_name_changes_nothing(node: HandmadeIdxd, device: Path) -> None:
    shared(node, device, 0, name="Fast/../x_3")

    result = node.scan(resource_from_name=re.compile("^(?P<res>.+)_"))

    assert list(ids(result)) == ["wq-user-shared"]
    assert "'Fast/../x' of its name cannot be part of a resource's name" in told(result)[0][1]


@pytest.mark.parametrize("text", ["(", "(?P<other>x)", "x", "[", "(?P<res>x){99999999999}"])
def test_a_pattern_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a regular expression with a group res"):
        NamePattern(help="").parse(text)


def test_flags_and_yaml_have_them(tmp_path: Path) -> None:
    config = tmp_path / "dsa.yaml"
    config.write_text("shared-dev-num-rule: ['name=app*:8']\nresource-from-name: '^(?P<res>[a-z]+)_'\n")

    by_file = load(IdxdSettings, [f"--config={config}"], program="x", description="").settings
    flags = ["--shared-dev-num-rule=name=app*:8", "--resource-from-name=^(?P<res>[a-z]+)_"]
    assert load(IdxdSettings, flags, program="x", description="").settings == by_file
    with pytest.raises(UsageError, match="flag --shared-dev-num-rule: 'size' is no rule"):
        load(IdxdSettings, ["--shared-dev-num-rule=size"], program="x", description="")
