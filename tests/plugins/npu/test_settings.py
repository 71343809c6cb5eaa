"""What can be set, and what is refused."""

from dataclasses import fields
from pathlib import Path

import pytest

from xpu_plugins.npu.settings import NpuSettings, below_prefix
from xpu_shared.program.flags import UsageError
from xpu_shared.program.settings import FamilySettings, Loaded, load


def loaded(*arguments: str) -> Loaded[NpuSettings]:
    return load(NpuSettings, arguments, program="xpu-npu-plugin", description="")


def test_flags_as_manifests_of_the_reference_have_them() -> None:
    settings = loaded("-v", "2", "-shared-dev-num", "3").settings

    assert (settings.v, settings.shared_dev_num, settings.prefix, settings.cdi) == (2, 3, "", False)
    assert loaded().settings == NpuSettings()


@pytest.mark.parametrize("text", ["0", "-1", "1001", "1000000", "two", "", "1.5"])
def test_a_bad_number_of_shares_names_flag_value_and_range(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        loaded(f"-shared-dev-num={text}")
    assert str(caught.value) == f"flag --shared-dev-num: expected an integer from 1 to 1000, found {text!r}"


def test_lists_of_ids_exclude_each_other() -> None:
    assert loaded("-allow-ids=0x643e, 0xb03e").settings.allow_ids == ("0x643e", "0xb03e")
    with pytest.raises(UsageError, match="only one of the two lists"):
        loaded("-allow-ids=0x643e", "-deny-ids=0xb03e")
    with pytest.raises(UsageError, match="'643e' is not 0x and four hexadecimal digits"):
        loaded("-deny-ids=643e")


def test_the_page_for_operators_has_every_flag() -> None:
    page = (Path(__file__).parents[3] / "docs/npu.md").read_text()
    common = {field.name for field in fields(FamilySettings)}
    own = [field.name.replace("_", "-") for field in fields(NpuSettings) if field.name not in common]

    assert [flag for flag in own if f"`--{flag}" not in page] == []


class TestPrefix:
    def test_it_says_where_to_look_and_not_where_the_runtime_looks(self, tmp_path: Path) -> None:
        settings = below_prefix(loaded("-prefix", str(tmp_path)))

        assert (settings.sysfs_root, settings.dev_root) == (tmp_path / "sys", tmp_path / "dev")
        assert settings.host_dev_root == Path("/dev")

    def test_roots_that_are_given_win(self, tmp_path: Path) -> None:
        settings = below_prefix(loaded(f"-prefix={tmp_path}/", "--dev-root=/dev"))

        assert (settings.sysfs_root, settings.dev_root) == (tmp_path / "sys", Path("/dev"))

    @pytest.mark.parametrize("prefix", ["", "/"])
    def test_nothing_changes_nothing(self, prefix: str) -> None:
        settings = below_prefix(loaded(f"-prefix={prefix}"))

        assert (settings.sysfs_root, settings.dev_root) == (Path("/sys"), Path("/dev"))

    @pytest.mark.parametrize("prefix", ["tree", "./tree", "/nowhere/at/all", "/dev/null"])
    def test_one_that_is_no_absolute_directory_is_refused(self, prefix: str) -> None:
        with pytest.raises(UsageError) as caught:
            loaded(f"-prefix={prefix}")
        assert str(caught.value) == f"flag --prefix: expected the absolute path of a directory, found {prefix!r}"
