"""What an administrator may choose, by flags and by file."""

from dataclasses import fields
from pathlib import Path

import pytest

from xpu_plugins.gpu.settings import GpuSettings, below_prefix
from xpu_shared.program.flags import UsageError
from xpu_shared.program.settings import Loaded, PluginSettings, load


def loaded(*arguments: str) -> Loaded[GpuSettings]:
    return load(GpuSettings, arguments, program="xpu-gpu-plugin", description="", words={"discover": ""})


def from_file(path: Path, text: str) -> GpuSettings:
    (path / "settings.yaml").write_text(text)
    return loaded(f"--config={path}/settings.yaml").settings


def test_the_defaults() -> None:
    settings = GpuSettings()

    assert (settings.shared_dev_num, settings.allocation_policy, settings.bypath) == (1, "none", "single")
    assert (settings.enable_monitoring, settings.monitoring_mode) == (False, "single")
    assert (settings.prefix, settings.allow_ids, settings.deny_ids) == ("", (), ())
    assert loaded().settings == settings


def test_flags_as_manifests_of_the_reference_have_them() -> None:
    settings = loaded(
        "-shared-dev-num=30", "-enable-monitoring", "-v=2", "-monitoring-mode", "split", "-allocation-policy=packed"
    ).settings

    assert (settings.shared_dev_num, settings.enable_monitoring, settings.v) == (30, True, 2)
    assert (settings.monitoring_mode, settings.allocation_policy) == ("split", "packed")


@pytest.mark.parametrize(
    ("flag", "text", "message"),
    [
        ("shared-dev-num", "0", "expected an integer from 1 to 1024, found '0'"),
        ("shared-dev-num", "-1", "expected an integer from 1 to 1024, found '-1'"),
        ("shared-dev-num", "1000000", "expected an integer from 1 to 1024, found '1000000'"),
        ("allocation-policy", "spread", "expected one of none, balanced, packed, topology, found 'spread'"),
        ("bypath", "both", "expected one of single, none, all, found 'both'"),
        ("monitoring-mode", "", "expected one of single, split, found ''"),
        ("enable-monitoring", "yes", "expected true or false, found 'yes'"),
    ],
)
def test_a_bad_value_names_flag_value_and_what_is_allowed(flag: str, text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        loaded(f"-{flag}={text}")
    assert str(caught.value) == f"flag --{flag}: {message}"


def test_what_is_not_there_is_an_unknown_flag() -> None:
    with pytest.raises(UsageError, match="unknown flag"):
        loaded("-resource-manager")


def test_the_page_for_operators_has_every_flag() -> None:
    page = (Path(__file__).parents[3] / "docs/gpu.md").read_text()
    common = {field.name for field in fields(PluginSettings)}
    own = [field.name.replace("_", "-") for field in fields(GpuSettings) if field.name not in common]

    assert [flag for flag in own if f"`--{flag}" not in page] == []


class TestPciIds:
    def test_they_are_separated_by_commas_and_perhaps_spaces(self) -> None:
        assert loaded("-allow-ids=0x56c0, 0xe20b ,0x0bda").settings.allow_ids == ("0x56c0", "0xe20b", "0x0bda")
        assert loaded("-deny-ids=").settings.deny_ids == ()

    @pytest.mark.parametrize(
        ("text", "element"),
        [
            ("0x56C0", "'0x56C0'"),
            ("56c0", "'56c0'"),
            ("0x56c0,", "''"),
            (",0x56c0", "''"),
            (" ", "''"),
            ("0x56c0,0x1", "'0x1'"),
            ("0x56c0\n", "'0x56c0\\n'"),
            ("0x\u06615c0", "'0x\\u06615c0'"),
            ("0x56c0 0xe20b", "'0x56c0 0xe20b'"),
        ],
    )
    @pytest.mark.parametrize("flag", ["allow-ids", "deny-ids"])
    def test_a_bad_one_is_named(self, flag: str, text: str, element: str) -> None:
        with pytest.raises(UsageError) as caught:
            loaded(f"-{flag}={text}")
        assert str(caught.value).startswith(f"flag --{flag}: {element} is not 0x and four hexadecimal digits")
        assert "\n" not in str(caught.value)

    def test_only_one_list_can_be_given(self) -> None:
        with pytest.raises(UsageError, match=r"--allow-ids=0x56c0 and --deny-ids=0xe20b: only one"):
            loaded("-allow-ids=0x56c0", "-deny-ids=0xe20b")

    def test_a_file_may_have_a_text_or_a_list(self, tmp_path: Path) -> None:
        assert from_file(tmp_path, 'allow-ids: "0x56c0,0xe20b"').allow_ids == ("0x56c0", "0xe20b")
        assert from_file(tmp_path, 'deny-ids: ["0x56c0", "0xe20b"]').deny_ids == ("0x56c0", "0xe20b")
        assert from_file(tmp_path, "deny-ids: []").deny_ids == ()

    @pytest.mark.parametrize("text", ["0x56c0", "[0x56c0]", "null", "{}", '[["0x56c0"]]'])
    def test_a_file_that_has_numbers_instead_is_refused(self, tmp_path: Path, text: str) -> None:
        with pytest.raises(UsageError, match=r"allow-ids.*in quotes because YAML takes them for numbers"):
            from_file(tmp_path, f"allow-ids: {text}")

    def test_both_lists_in_a_file_and_a_flag_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "settings.yaml").write_text('allow-ids: "0x56c0"')

        with pytest.raises(UsageError, match="only one of the two lists"):
            loaded(f"--config={tmp_path}/settings.yaml", "-deny-ids=0xe20b")


class TestPrefix:
    def test_it_stands_for_all_roots(self) -> None:
        settings = below_prefix(loaded("-prefix", "/fake"))

        assert settings.sysfs_root == Path("/fake/sys")
        assert settings.dev_root == settings.host_dev_root == Path("/fake/dev")

    def test_roots_that_are_given_win(self) -> None:
        settings = below_prefix(loaded("-prefix=/fake", "--host-dev-root=/dev"))

        assert (settings.dev_root, settings.host_dev_root) == (Path("/fake/dev"), Path("/dev"))

    @pytest.mark.parametrize("prefix", ["", "/"])
    def test_nothing_changes_nothing(self, prefix: str) -> None:
        settings = below_prefix(loaded(f"-prefix={prefix}"))

        assert (settings.sysfs_root, settings.dev_root) == (Path("/sys"), Path("/dev"))
