"""What a container gets of /dev/dri/by-path."""

import os
from pathlib import Path

import pytest

from handmade_gpus import HandmadeGpus, ids, mounts, only, told
from xpu_shared.device import Mount

CARD, RENDER = "pci-0000:00:02.0-card", "pci-0000:00:02.0-render"


@pytest.fixture
def linked(gpus: HandmadeGpus) -> HandmadeGpus:
    gpus.card("card0")
    gpus.link(CARD, "../card0")
    gpus.link(RENDER, "../renderD128")
    return gpus


def test_single_gives_the_cards_own_links_read_only(linked: HandmadeGpus) -> None:
    directory = "/dev/dri/by-path"

    assert only(linked.scan()).mounts == (
        Mount(host_path=f"{directory}/{CARD}", container_path=f"{directory}/{CARD}", read_only=True),
        Mount(host_path=f"{directory}/{RENDER}", container_path=f"{directory}/{RENDER}", read_only=True),
    )


def test_all_gives_the_directory_and_none_nothing(linked: HandmadeGpus) -> None:
    assert only(linked.scan(bypath="all")).mounts == (
        Mount(host_path="/dev/dri/by-path", container_path="/dev/dri/by-path", read_only=True),
    )
    assert only(linked.scan(bypath="none")).mounts == ()


def test_the_cdi_device_has_the_same_mounts(linked: HandmadeGpus) -> None:
    device = only(linked.scan())

    assert device.cdi is not None
    assert device.cdi.mounts == device.mounts


@pytest.mark.parametrize(
    "name",
    [
        "pci-0000:00:02.0-platform-simple-framebuffer.0-card",
        "pci-0000:00:02.0-card\n",
        "pci-0000:00:02.0-card-extra",
        "pci-0000:00:02.00-card",
        "platform-0000:00:02.0-card",
        "\udcff\x01",
    ],
)
def test_other_names_are_left_out(linked: HandmadeGpus, name: str) -> None:
    linked.link(name, "../card0")
    result = linked.scan()

    assert mounts(only(result)) == [CARD, RENDER]
    assert not result.problems


@pytest.mark.parametrize("target", ["../card1", "../renderD129", "../gone", CARD, "../../null", ".."])
def test_a_link_that_leads_elsewhere_is_left_out_and_named(linked: HandmadeGpus, target: str) -> None:
    linked.card("card1", path="pci0000:00/0000:00:03.0")
    (linked.dev / "null").touch()
    link = linked.dev / "dri/by-path" / CARD
    link.unlink()
    link.symlink_to(target)
    result = linked.scan()

    assert mounts(result.devices["i915"][0]) == [RENDER]
    ((subject, text),) = told(result)
    assert subject == str(link)
    assert text.startswith("not handed out: ")


def test_what_is_no_link_is_left_out_and_named(linked: HandmadeGpus) -> None:
    link = linked.dev / "dri/by-path" / CARD
    link.unlink()
    os.link(linked.dev / "dri/card0", link)
    result = linked.scan()

    assert mounts(only(result)) == [RENDER]
    assert told(result) == [(str(link), "not handed out: it is no link to a device file of its card")]


@pytest.mark.parametrize("path", ["pci10000:00/10000:00:02.0", "platform/simple-framebuffer.0", "x/0000:0A:02.0"])
def test_without_a_pci_address_a_card_is_offered_without_links(gpus: HandmadeGpus, path: str) -> None:
    gpus.card("card0", path=path)
    gpus.link(CARD, "../card0")
    result = gpus.scan()

    assert ids(result) == {"i915": ["card0-0"]}
    assert mounts(only(result)) == []
    ((subject, text),) = told(result)
    assert subject == "card0"
    assert text.endswith("names no PCI address")


@pytest.mark.parametrize("mode", ["all", "none"])
def test_only_single_needs_the_address(gpus: HandmadeGpus, mode: str) -> None:
    gpus.card("card0", path="platform/gpu")

    assert not gpus.scan(bypath=mode).problems


def test_a_card_that_is_no_link_has_no_address(gpus: HandmadeGpus) -> None:
    device = gpus.card("card0")
    gpus.link(CARD, "../card0")
    (gpus.drm / "card0").unlink()
    (gpus.drm / "card0").mkdir()
    (gpus.drm / "card0/device").symlink_to(device)
    result = gpus.scan()

    assert ids(result) == {"i915": ["card0-0"]}
    assert [subject for subject, _ in told(result)] == ["card0"]


@pytest.mark.parametrize("mode", ["single", "all"])
def test_the_directory_may_come_and_go(gpus: HandmadeGpus, mode: str) -> None:
    directory = gpus.dev / "dri/by-path"
    directory.rmdir()
    gpus.card("card0")
    absent = gpus.scan(bypath=mode)
    directory.mkdir()
    gpus.link(CARD, "../card0")
    present = gpus.scan(bypath=mode)
    (directory / CARD).unlink()
    directory.rmdir()
    gone = gpus.scan(bypath=mode)

    assert mounts(only(absent)) == mounts(only(gone)) == []
    assert mounts(only(present)) == [CARD if mode == "single" else "by-path"]
    assert [result.problems for result in (absent, present, gone)] == [(), (), ()]


def test_a_directory_that_cannot_be_listed_is_told_once_for_all_cards(gpus: HandmadeGpus) -> None:
    directory = gpus.dev / "dri/by-path"
    directory.rmdir()
    directory.symlink_to("by-path")
    for number in range(3):
        gpus.card(f"card{number}", path=f"pci0000:00/0000:00:0{number}.0")
    result = gpus.scan()

    assert ids(result) == {"i915": ["card0-0", "card1-0", "card2-0"]}
    ((subject, _),) = told(result)
    assert Path(subject) == directory
