"""Who a device is: its address, its texts whatever bytes are in them, and which handles are one device."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from level_zero import BDF, Scenario
from xpu_shared.telemetry.kinds import Mode
from xpu_sidecars.level_zero.identity import Identity, UnidentifiedError, identify, merged
from xpu_sidecars.level_zero.opening import devices
from xpu_simulator.level_zero.lines import line


def only(library: Scenario, **values: object) -> Identity:
    opened = library.says(line("driver"), line("device", **{"bdf": BDF, **values})).open()
    ((identity,),) = library.identities(opened).values()
    return identity


def test_everything_a_driver_tells(library: Scenario) -> None:
    found = only(
        library,
        vendor="0x8086",
        device="0x0bd5",
        model="Data Center GPU Max 1550",
        serial="LQAC13401234",
        driver_version="25.40.35563.4",
        uuid="868000d50b2f00000000000000000000",
        subdevices=2,
    )

    assert (found.pci_address, found.vendor_id, found.device_id) == (BDF, 0x8086, 0x0BD5)
    assert (found.model, found.serial_number) == ("Data Center GPU Max 1550", "LQAC13401234")
    assert (found.driver_version, found.subdevices) == ("25.40.35563.4", 2)
    assert found.uuid == "868000d5-0b2f-0000-0000-000000000000"
    assert (found.integrated, found.subdevice) == (False, None)


def test_an_integrated_gpu_says_so(library: Scenario) -> None:
    assert only(library, integrated=1).integrated is True


def test_texts_as_long_as_their_field_and_of_strange_bytes(library: Scenario) -> None:
    library.path.with_name("raw").write_text(
        f"driver\ndevice bdf={BDF} model={'m' * 200} serial=%ff%fe driver_version=unknown\n"
    )
    library.path.with_name("raw").replace(library.path)
    opened = library.open()
    ((found,),) = library.identities(opened).values()

    assert (found.model, found.serial_number, found.driver_version) == ("m" * 64, "��", "")


def test_a_device_without_properties_has_at_least_its_address(library: Scenario) -> None:
    found = only(library, zesDeviceGetProperties="0x78000001")
    assert (found.pci_address, found.integrated, found.model) == (BDF, None, "")


def test_a_device_without_an_address_cannot_be_named(library: Scenario) -> None:
    opened = library.says(line("driver"), line("device", bdf=BDF, zesDevicePciGetProperties="0x70010000")).open()
    with pytest.raises(UnidentifiedError, match="insufficient permissions"):
        identify(opened, devices(opened, Mode.SYSMAN).devices[0])


def test_a_device_whose_address_cannot_be_cannot_be_named(library: Scenario) -> None:
    opened = library.says(line("driver"), line("device", bdf="0000:fffff:77.9")).open()
    with pytest.raises(UnidentifiedError, match=r"expected a PCI address, found 0000:fffff:77.9"):
        identify(opened, devices(opened, Mode.SYSMAN).devices[0])


def test_domains_of_more_than_four_digits_are_addresses(library: Scenario) -> None:
    assert only(library, bdf="10000:e1:00.0").pci_address == "10000:e1:00.0"


def test_a_loader_that_knows_no_extension_leaves_what_the_core_says(
    old_library: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZES_ENABLE_SYSMAN", "1")
    old_library.says(line("driver"), line("device", bdf=BDF, integrated=1))
    opened = old_library.open(Mode.LEGACY)
    ((found,),) = old_library.identities(opened, Mode.LEGACY).values()
    assert found.integrated is True


def test_the_root_device_stands_for_its_tiles() -> None:
    tiles = [Identity(handle=handle, pci_address=BDF, subdevice=handle) for handle in (0, 1)]
    root = Identity(handle=7, pci_address=BDF)

    assert merged([tiles[0], root, tiles[1]]) == {BDF: [root]}
    assert merged(tiles) == {BDF: tiles}


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from([None, 0, 1]))))
def test_any_handles_become_one_device_an_address(handles: list[tuple[int, int | None]]) -> None:
    identities = [
        Identity(handle=number, pci_address=f"0000:{bus:02x}:00.0", subdevice=subdevice)
        for number, (bus, subdevice) in enumerate(handles)
    ]
    found = merged(identities)

    assert list(found) == sorted({identity.pci_address for identity in identities})
    for address, group in found.items():
        same = [identity for identity in identities if identity.pci_address == address]
        roots = [identity for identity in same if identity.subdevice is None]
        assert list(group) == (roots[:1] or same)
