"""Layout files: what is taken, and what is refused with the file's name and the place in it."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layouts import BULK, layout, queue
from provisioned import IdxdNode, Interposed, results
from xpu_plugins.idxd_provision.choice import built_in
from xpu_plugins.idxd_provision.layout import LARGEST_FILE, read_layout
from xpu_plugins.idxd_provision.lenient_json import MalformedJsonError, parse
from xpu_shared.program.flags import UsageError
from xpu_shared.provisioning.plan import LayoutError
from xpu_simulator.families.idxd.device import Dsa, Iaa

DEEP = "[" * 40 + "]" * 40


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[1,]", [1]),
        ('{"a": 1,}', {"a": 1}),
        ("[1, /* a, */ ]", [1]),
        ("[1 // one\n, // two\n]", [1]),
        ('["// no comment", "/*", ",]"]', ["// no comment", "/*", ",]"]),
        ('["\\"//", 2]', ['"//', 2]),
        ("\t[\t1\t,\t]\t", [1]),
        ("[[1,],]", [[1]]),
    ],
)
def test_comments_and_trailing_commas_are_taken(text: str, value: object) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1 column 1"),
        ("[1,,]", "line 1 column 4"),
        ("[,]", "line 1 column 2"),
        ("{,}", "line 1 column 2"),
        (",", "line 1 column 1"),
        ("[1\n  2]", "line 2 column 3"),
        ("[1] [2]", "line 1 column 5"),
        ("[1 /* for ever", "line 1 column 4: a comment without end"),
        ('["a\nb"]', "line 1 column 4"),
        ("['a']", "line 1 column 2"),
        ("[1,\n -Infinity]", "line 2 column 3: Infinity is no value"),
        ("[NaN]", "line 1 column 2: NaN is no value"),
        ("\ufeff[]", "line 1 column 1: a byte order mark"),
        ("[-Infinity]", "line 1 column 3: Infinity is no value"),
        ('[{"dev": "dsaX", "dev": "dsaX"}]', "key 'dev' is given twice"),
        ("[" + "9" * 100 + "]", "line 1 column 2: a number of 100 digits is no value"),
        (DEEP, "line 1 column 33: nested deeper than 32"),
        ("[01]", "line 1 column 3"),
    ],
)
def test_everything_else_that_is_malformed_is_refused(text: str, said: str) -> None:
    with pytest.raises(MalformedJsonError, match=said.replace("[", r"\[")):
        parse(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**64), 2**64) | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    )
)
def test_whatever_json_is_reads_as_it_is(value: Any) -> None:
    assert parse(json.dumps(value)) == value


@given(st.text(alphabet='[]{}",:/*\\\n 1a', max_size=40))
def test_whatever_is_no_json_is_an_error_and_nothing_else(text: str) -> None:
    try:
        parse(text)
    except MalformedJsonError as error:
        said = str(error)
    else:
        said = ""
    assert "\n" not in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "the file: expected an array, found {}"),
        ("[]", "the file: expected an array with something in it"),
        ("[1]", r"\[0\]: expected an object, found 1"),
        ('[{"groups": [1]}]', r"\[0\]\.dev: expected dsaX"),
        ('[{"dev": "gpu0"}]', r"\[0\]\.dev: expected dsaX, iaxX or a device such as dsa4, found 'gpu0'"),
        ('[{"dev": "dsa04"}]', r"found 'dsa04'"),
        ('[{"dev": "dsaX"}, {"dev": "dsaX"}]', r"\[1\]\.dev: dsaX is given twice"),
        ('[{"dev": "dsaX", "groups": []}]', r"dsaX: groups: expected an array with something in it, found \[\]"),
        (
            '[{"dev": "dsaX", "groups": [{"dev": "groupX.0", "grouped_engines": []}]}]',
            r"groups\[0\]\.grouped_engines: ",
        ),
        ('[{"dev": "dsaX", "groups": {"a": 1}}]', "groups: expected an array"),
        ('[{"dev": "dsaX", "groups": [{"dev": 1}]}]', r"groups\[0\]\.dev: expected a name, found 1"),
        ("[1\n 2]", "not JSON: line 2 column 2"),
        ("\xff", "not UTF-8 at byte 0"),
        (" " * (LARGEST_FILE + 1), f"larger than {LARGEST_FILE} bytes"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_and_nothing_is_written(node: IdxdNode, text: str, said: str) -> None:
    path = node.root / "bad.conf"
    path.write_bytes(text.encode("latin-1"))
    kernel = Interposed(node.sysfs)

    with pytest.raises(LayoutError, match=rf"^{path}: .*{said}"):
        node.apply(path, sysfs=kernel)
    assert kernel.writes == []


def test_a_file_that_is_missing_is_named(node: IdxdNode) -> None:
    with pytest.raises(LayoutError, match=r"none\.conf: No such file"):
        node.apply(node.root / "none.conf")


YAML = """
- dev: dsaX
  groups:
    - dev: groupX.0
      grouped_workqueues:
        - {dev: wqX.0, mode: shared, type: user, size: 32, threshold: 28, group_id: 0, priority: 10, name: appX0}
      grouped_engines:
        - {dev: engineX.0, group_id: 0}
"""


def test_yaml_has_the_same_tree(node: IdxdNode) -> None:
    (node.root / "layout.yaml").write_text(YAML)

    assert results(node.apply(node.root / "layout.yaml")) == {"dsa11": "changed"}
    assert node.state().queues[0].threshold == 28


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("priority: 10", "prio: 10", "unknown key 'prio'"),
        ("priority: 10", "size: 10", "key 'size' is given twice"),
        ("dev: groupX.0", "dev: &a groupX.0\n      x: *a", "aliases"),
        ("dev: dsaX", "dev: !!str dsaX", "tags"),
        ("- dev: dsaX", "--- \n- dev: dsaX\n---\n- dev: iaxX", "expected a single document"),
    ],
)
def test_yaml_that_surprises_is_refused(node: IdxdNode, old: str, new: str, said: str) -> None:
    (node.root / "layout.yaml").write_text(YAML.replace(old, new, 1))
    with pytest.raises(LayoutError, match=said):
        node.apply(node.root / "layout.yaml")


@pytest.mark.parametrize("kind", ["dsa", "iaa"])
def test_without_a_file_each_device_gets_four_dedicated_user_queues(tmp_path: Path, kind: str) -> None:
    node = IdxdNode(tmp_path, Dsa(number=0), Iaa(number=1))
    outcomes = node.apply(environment={"DEVICE_TYPE": kind})
    name = {"dsa": "dsa0", "iaa": "iax1"}[kind]
    prefix = {"dsa": "dpdk_0", "iaa": "iax1"}[kind]

    assert results(outcomes) == {name: "changed"}
    assert [(one.mode, one.size, one.priority, one.name) for one in node.state(name).queues] == [
        ("dedicated", 16, 10, f"{prefix}{number}") for number in range(4)
    ]
    assert results(node.apply(environment={"DEVICE_TYPE": kind})) == {name: "unchanged"}
    assert built_in(kind).file == f"the built-in {kind}.conf"


def test_the_nodes_own_file_wins_over_that_for_all(node: IdxdNode) -> None:
    conf = node.root / "conf"
    conf.mkdir()
    (conf / "dsa.conf").write_text(BULK)
    (conf / "dsa-n1.yaml").write_text(YAML)
    node.apply(environment={"NODE_NAME": "n1"})
    assert [one.number for one in node.state().queues] == [0]
    node.apply(environment={"NODE_NAME": "n2"})
    assert [one.number for one in node.state().queues] == [5]


@pytest.mark.parametrize("name", ["../../etc/x", "a/b", "..", "A b"])
def test_a_node_name_never_becomes_a_path(node: IdxdNode, name: str) -> None:
    with pytest.raises(UsageError, match="NODE_NAME=") as error:
        node.provisioner(environment={"NODE_NAME": name})
    assert error.value.exit_code == 1


@pytest.mark.parametrize(
    ("variable", "value"),
    [("DEVICE_TYPE", "qat"), ("DSA_DRIVER", "uio"), ("DSA_PCI_IDS", "0b25 x"), ("DSA_PCI_IDS", "8086:0b25")],
)
def test_a_variable_that_cannot_be_used_is_named(node: IdxdNode, variable: str, value: str) -> None:
    with pytest.raises(UsageError, match=variable):
        node.provisioner(environment={variable: value})


def test_a_file_of_the_other_kind_is_refused_when_the_kind_is_said(node: IdxdNode) -> None:
    with pytest.raises(LayoutError, match="dsaX: expected iaxX or a device such as iax4"):
        node.apply(layout(queue(0)), environment={"DEVICE_TYPE": "iaa"})


def test_the_built_in_layouts_are_files_that_are_taken(tmp_path: Path) -> None:
    assert read_layout(Path(__file__).parents[3] / "plugins/xpu_plugins/idxd_provision/templates/dsa.conf").kinds == {
        "dsa"
    }
