from hypothesis import given, settings
from hypothesis import strategies as st

from xpu_shared.kubelet.holders import Claim, Holder
from xpu_sidecars.level_zero.attribution import Attribution, Share, attribute

CARDS = {0: "0000:03:00.0", 1: "0000:12:00.0", 12: "0000:22:00.0"}
I915, XE = "gpu.intel.com/i915", "gpu.intel.com/xe"
TRAIN, INFER = Holder("ai", "train", "main"), Holder("ai", "infer", "main")


def attributed(
    holders: dict[tuple[str, str], set[Holder]] | None = None,
    claims: dict[Claim, set[Holder]] | None = None,
    namespace: str = "gpu.intel.com",
) -> Attribution:
    return attribute(
        {key: frozenset(value) for key, value in (holders or {}).items()},
        {key: frozenset(value) for key, value in (claims or {}).items()},
        cards=CARDS,
        resource_namespace=namespace,
    )


def test_the_only_container_that_has_a_gpu_has_it_exclusively() -> None:
    found = attributed({(I915, "card0-0"): {TRAIN}, (XE, "card12-3"): {INFER}})

    assert found.exclusive == {"0000:03:00.0": TRAIN, "0000:22:00.0": INFER}
    assert found.shares == (Share("0000:03:00.0", TRAIN, I915), Share("0000:22:00.0", INFER, XE))


def test_a_gpu_that_containers_share_belongs_to_none_of_them() -> None:
    found = attributed({(I915, "card0-0"): {TRAIN}, (I915, "card0-1"): {INFER}})

    assert found.exclusive == {}
    assert found.shares == (Share("0000:03:00.0", INFER, I915), Share("0000:03:00.0", TRAIN, I915))


def test_several_shares_of_one_container_are_one() -> None:
    found = attributed({(I915, "card0-0"): {TRAIN}, (I915, "card0-1"): {TRAIN}})

    assert found.exclusive == {"0000:03:00.0": TRAIN}
    assert len(found.shares) == 1


def test_two_containers_of_a_pod_are_two() -> None:
    other = Holder("ai", "train", "sidecar")

    assert attributed({(I915, "card0-0"): {TRAIN}, (I915, "card0-1"): {other}}).exclusive == {}


def test_monitoring_and_what_is_no_gpu_of_ours_attribute_nothing() -> None:
    resources = (
        "gpu.intel.com/i915_monitoring",
        "gpu.intel.com/monitoring",
        "lab.example/i915",
        "gpu.intel.com/millicores",
    )
    holders = {(resource, id_): {TRAIN} for resource in resources for id_ in ("all", "card0-0")}
    holders |= {(I915, id_): {TRAIN} for id_ in ("all", "card0", "card-0", "card7-0", "card0-0x", "0000:03:00.0", "")}

    assert attributed(holders) == Attribution()


def test_another_resource_namespace_is_the_one_that_counts() -> None:
    holders = {("lab.example/xe", "card1-0"): {TRAIN}, (I915, "card0-0"): {INFER}}

    assert attributed(holders, namespace="lab.example").exclusive == {"0000:12:00.0": TRAIN}


def test_a_claim_names_its_gpu_by_pci_address() -> None:
    names = ("0000-03-00-0", "0000-12-00-0-0x56c0", "gpu-0000-22-00-0")
    found = attributed(claims={Claim("gpu.intel.com", name): {TRAIN} for name in names})

    assert set(found.exclusive) == {"0000:03:00.0", "0000:12:00.0", "0000:22:00.0"}
    assert {share.resource for share in found.shares} == {"gpu.intel.com"}


def test_a_claim_names_its_gpu_by_cdi_device_where_its_own_name_does_not() -> None:
    for name in ("intel.com/gpu=card1", "intel.com/gpu=card1-vf0", "intel.cdi.k8s.io/gpu=card1"):
        claim = Claim("gpu.intel.com", "gpu-7", ("other.com/x=card0", name))
        assert attributed(claims={claim: {TRAIN}}).exclusive == {"0000:12:00.0": TRAIN}, name


def test_claims_of_other_drivers_and_of_no_gpu_attribute_nothing() -> None:
    claims = [
        Claim("gpu.example.com", "0000-03-00-0"),
        Claim("gpu.intel.com", "gpu-0"),
        Claim("gpu.intel.com", "", ("intel.com/gpu=card77", "intel.com/npu=card0", "intel.com/gpu=cardX")),
    ]

    assert attributed(claims={claim: {TRAIN} for claim in claims}) == Attribution()


def test_a_gpu_held_both_ways_is_shared() -> None:
    found = attributed({(I915, "card0-0"): {TRAIN}}, {Claim("gpu.intel.com", "0000-03-00-0"): {INFER}})

    assert found.exclusive == {}
    assert {share.resource for share in found.shares} == {I915, "gpu.intel.com"}


IDS = st.one_of(
    st.builds(lambda card, part: f"card{card}-{part}", st.integers(0, 14), st.integers(0, 3)), st.text(max_size=8)
)
HOLDERS = st.builds(Holder, st.sampled_from("ab"), st.sampled_from("xyz"), st.sampled_from("12"))


@settings(deadline=None)
@given(
    st.dictionaries(st.tuples(st.sampled_from([I915, XE, f"{I915}_monitoring"]), IDS), st.sets(HOLDERS), max_size=12)
)
def test_no_gpu_is_ever_given_to_two_and_every_exclusive_holder_has_a_share(
    holders: dict[tuple[str, str], set[Holder]],
) -> None:
    found = attributed(holders)

    by_address: dict[str, set[Holder]] = {}
    for share in found.shares:
        by_address.setdefault(share.pci_address, set()).add(share.holder)
    assert found.exclusive == {address: next(iter(who)) for address, who in by_address.items() if len(who) == 1}
    assert len(set(found.shares)) == len(found.shares)
