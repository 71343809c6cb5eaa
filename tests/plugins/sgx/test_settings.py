"""What can be set, and how many devices there are when nothing is."""

from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpu_plugins.sgx.limits import default_limit
from xpu_plugins.sgx.settings import SgxSettings
from xpu_shared.device import Problem
from xpu_shared.program.flags import UsageError
from xpu_shared.program.settings import FamilySettings, load


def loaded(*arguments: str) -> SgxSettings:
    return load(SgxSettings, arguments, program="xpu-sgx-plugin", description="").settings


def test_flags_as_manifests_of_the_reference_have_them() -> None:
    settings = loaded("-v", "4", "-enclave-limit", "110", "-provision-limit=0x6e", "-dcap-infra-resources")

    assert (settings.v, settings.enclave_limit, settings.provision_limit) == (4, 110, 110)
    assert settings.dcap_infra_resources
    assert not settings.legacy_device_paths


def test_without_flags_nothing_is_limited_and_nothing_special_offered() -> None:
    settings = loaded()

    assert (settings.enclave_limit, settings.provision_limit) == (None, None)
    assert not settings.dcap_infra_resources


@pytest.mark.parametrize("text", ["-1", "many", "1.5", "", "10001", "5000000", str(2**64)])
@pytest.mark.parametrize("flag", ["enclave-limit", "provision-limit"])
def test_a_bad_limit_names_flag_value_and_what_is_allowed(flag: str, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        loaded(f"-{flag}={text}")
    assert str(caught.value) == f"flag --{flag}: expected an integer from 0 to 10000, found {text!r}"


def test_a_boolean_takes_a_value_only_with_an_equals_sign() -> None:
    assert not loaded("-dcap-infra-resources=false").dcap_infra_resources
    with pytest.raises(UsageError, match="unexpected argument 'true'"):
        loaded("-dcap-infra-resources", "true")


@pytest.mark.parametrize("text", ["enclave-limit: 3", 'enclave-limit: "3"'])
def test_a_file_may_have_a_limit(tmp_path: Path, text: str) -> None:
    (tmp_path / "settings.yaml").write_text(text)

    assert loaded(f"--config={tmp_path}/settings.yaml").enclave_limit == 3


def test_the_page_for_operators_has_every_flag() -> None:
    page = (Path(__file__).parents[3] / "docs/sgx.md").read_text()
    common = {field.name for field in fields(FamilySettings)}
    own = [field.name.replace("_", "-") for field in fields(SgxSettings) if field.name not in common]

    assert [flag for flag in own if f"`--{flag}" not in page] == []


class TestDefaultLimit:
    @pytest.mark.parametrize(
        ("text", "cpus", "expected"),
        [("", 8, 110), ("10", 8, 80), ("0", 8, 110), ("007", 2, 14), ("1", 1, 1), ("0000", 2, 110)],
    )
    def test_it_follows_from_pods_per_core(self, text: str, cpus: int, expected: int) -> None:
        problems: list[Problem] = []

        assert default_limit(text, cpus=cpus, problems=problems) == expected
        assert not problems

    @pytest.mark.parametrize(
        "text", ["abc", "-3", "1.5", " 4", "4 ", "+4", "0x4", "1_0", "\u0664", "4294967296", "9" * 5000]
    )
    def test_nonsense_is_told_and_not_used(self, text: str) -> None:
        problems: list[Problem] = []

        assert default_limit(text, cpus=8, problems=problems) == 110
        (problem,) = problems
        assert problem.subject == "PODS_PER_CORE"
        assert ascii(text[:64]) in problem.text
        assert problem.text.isprintable()

    @pytest.mark.parametrize("text", ["4294967295", "100000"])
    def test_more_than_a_kubelet_takes_is_told_and_cut(self, text: str) -> None:
        problems: list[Problem] = []

        assert default_limit(text, cpus=8, problems=problems) == 10_000
        assert "too many" in problems[0].text

    @given(text=st.text(), cpus=st.integers(min_value=1, max_value=8192))
    def test_whatever_the_environment_says_there_are_some_and_not_too_many(self, text: str, cpus: int) -> None:
        assert 1 <= default_limit(text, cpus=cpus, problems=[]) <= 10_000
