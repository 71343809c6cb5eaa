import pytest

from xpu_simulator.kubelet.names import invalid_because


@pytest.mark.parametrize(
    "name",
    ["gpu.intel.com/i915", "a/b", "dsa.intel.com/wq-user-shared", "x.y/A_b.c-1", "a/" + "x" * 63, "a" * 63 + "/b"],
)
def test_qualified_names_are_valid(name: str) -> None:
    assert invalid_because(name) is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("i915", "no slash"),
        ("", "no slash"),
        ("kubernetes.io/gpu", "kubernetes.io"),
        ("x.kubernetes.io/gpu", "kubernetes.io"),
        ("requests.example.com/gpu", "requests."),
        ("/gpu", "before the slash"),
        ("GPU.intel.com/i915", "before the slash"),
        ("gpu..com/i915", "before the slash"),
        ("-gpu.com/i915", "before the slash"),
        ("a." * 123 + "/x", "before the slash"),
        ("gpu.com/", "after the slash"),
        ("gpu.com/-x", "after the slash"),
        ("gpu.com/x/y", "after the slash"),
        ("gpu.com/x y", "after the slash"),
        ("gpu.com/x\n", "after the slash"),
        ("gpu.com/" + "x" * 64, "after the slash"),
        ("gpu.com/é", "after the slash"),
    ],
)
def test_an_invalid_name_is_told_which_rule_it_breaks(name: str, reason: str) -> None:
    assert reason in (invalid_because(name) or "")


def test_the_quota_prefix_counts_towards_the_length_of_the_domain() -> None:
    label = "a" * 60
    longest = ".".join([label, label, label, label])  # 243 characters
    assert invalid_because(f"{longest}a/x") is None
    assert invalid_because(f"{longest}aa/x") is not None
