"""Messages as bytes: golden vectors, sizes, and what a reader does with what it cannot use."""

from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum

import pytest
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

from telemetry_examples import BOOT, envelope, full_snapshot, hot_gpu
from xpu_shared.telemetry import kinds
from xpu_shared.telemetry.bounds import LONGEST_REASON, MOST_COMPONENTS, MOST_DEVICES
from xpu_shared.telemetry.decoding import SnapshotReader
from xpu_shared.telemetry.envelope import MalformedMessageError, decode, encode, subscription
from xpu_shared.telemetry.kinds import Group, TemperatureKind, Verdict
from xpu_shared.telemetry.readings import (
    DeviceReading,
    DeviceSnapshot,
    EngineGroup,
    Envelope,
    FrequencyDomain,
    Indicator,
    MemoryModule,
    PowerDomain,
    TemperatureSensor,
    WslDevices,
)
from xpu_wire import telemetry_pb2 as pb

# Of the envelope before the payload: topic, NUL, schema, source, node, boot id, sequences, times, validity.
HEAD = (
    "64657669636573 00 0801 120a 6c6576656c2d7a65726f 1a06 6e6f64652d31"
    "2224 36663166386530612d356330652d346130622d396430652d376135623363326431653066"
    "2805 3007 38fdd8c1a28c34 40d461 48b817"
)
FULL_DEVICE = (
    "8201ce0608011a05302e312e302204312e31322a06312e32302e363209312e362e33353536333af2050a0c303030303a30303a30302e3012"
    "0208011a24080212206c696e6b20697320736c6f776572207468616e2069742073686f756c64206265220d120b646576696365206c6f7374"
    "2a0c080010001802200028003000323608021001180020002805301038a7ec89e0ea014005481050a7ec89e0ea015880c0caf384a3026080"
    "c0caf384a302680c70b5b8f0fe2d3a05080110fa013a05080210fa013a05080310fa013a05080410fa013a05080510fa013a05080610fa01"
    "3a05080710fa013a34080810fa011a2d0880808480071225696e73756666696369656e74207065726d697373696f6e732028307837303031"
    "30303030293a05080910fa013a05080a10fa013a05080b10fa014240080110001802200128808080808002308080808080023880808080e4"
    "0140800848085080c0caf384a3025880c0caf384a30260808080c2d72f68808080e1eb174a0c0801100018f8c00720d0e80c4a0c08021000"
    "18f8c00720d0e80c4a0c0803100018f8c00720d0e80c521c0801100018dd931920d0ffc5b088891c28c0cf243080f92b3894fb36521c0802"
    "100018dd931920d0ffc5b088891c28c0cf243080f92b3894fb365a26080110001880bf8ce3052080a0f8fa052880d293ad033080a0f8fa05"
    "38eb0640810248c8d0075a26080310001880bf8ce3052080a0f8fa052880d293ad033080a0f8fa0538eb0640810248c8d007620808011000"
    "18d0bb1b62080802100018d0bb1b62080803100018d0bb1b62080804100018d0bb1b6a180801100018012002280330043805400648075008"
    "5809600a6a1808021000180120022803300438054006480750085809600a8201130a03474658120c505643325f312e32333337348201100a"
    "084746585f444154411204307841378a0110000000000000000000000000e2b80386900186810298018bc403a20121496e74656c28522920"
    "446174612043656e74657220475055204d61782031353530aa0112307833386232633164393466366137306535b2010d32352e34302e3335"
    "3536332e34b80100c0010142350a0c303030303a30333a30302e30122566616e3a20756e737570706f727465642066656174757265202830"
    "78373830303030303329"
)
PREFIX = subscription(b"devices")


def decoded(message: Envelope) -> Envelope:
    return decode(encode(message), SnapshotReader())


def device(message: Envelope) -> DeviceReading:
    (only,) = message.payload.devices
    return only


def forged(change: Callable[[pb.Envelope], object]) -> bytes:
    """The frame of a sound message after a change that `encode` would not make."""
    message = pb.Envelope.FromString(encode(envelope(DeviceSnapshot(devices=(hot_gpu(61.5),))))[len(PREFIX) :])
    change(message)
    return PREFIX + message.SerializeToString()


@pytest.mark.parametrize(
    ("payload", "tail"),
    [
        pytest.param(DeviceSnapshot(), "8201 00", id="nothing"),
        pytest.param(DeviceSnapshot(unavailable="no driver"), "8201 0b 1209 6e6f20647269766572", id="unavailable"),
        pytest.param(
            DeviceSnapshot(devices=(hot_gpu(103.2),)),
            "8201 20 3a1e 0a0c 303030303a33623a30302e30 3a04 08051000 4a08 0802 1001 18c0cc0c",
            id="one temperature",
        ),
        pytest.param(
            DeviceSnapshot(wsl=WslDevices(indices=(0, 2), hierarchy="FLAT")),
            "8201 0c 4a0a 0a02 0002 1204 464c4154",
            id="indices of WSL",
        ),
        pytest.param(full_snapshot(1), FULL_DEVICE, id="every field"),
    ],
)
def test_golden_bytes(payload: DeviceSnapshot, tail: str) -> None:
    assert encode(envelope(payload)) == bytes.fromhex(HEAD + tail)
    assert decoded(envelope(payload)) == envelope(payload)


def test_64_gpus_with_every_field_fit_64_kib() -> None:
    assert len(encode(envelope(full_snapshot(64)))) <= 64 * 1024


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        (kinds.Mode, pb.Mode),
        (kinds.Verdict, pb.Verdict),
        (kinds.Repair, pb.Repair),
        (kinds.LinkStatus, pb.LinkStatus),
        (kinds.MemoryKind, pb.MemoryKind),
        (kinds.MemoryLocation, pb.MemoryLocation),
        (kinds.MemoryHealth, pb.MemoryHealth),
        (kinds.TemperatureKind, pb.TemperatureKind),
        (kinds.PowerKind, pb.PowerKind),
        (kinds.FrequencyKind, pb.FrequencyKind),
        (kinds.EngineKind, pb.EngineKind),
        (kinds.RasSeverity, pb.RasSeverity),
        (kinds.ThrottleReason, pb.ThrottleReason),
        (kinds.Group, pb.Group),
    ],
)
def test_words_are_declared_in_the_order_of_their_numbers(words: type[StrEnum], numbers: EnumTypeWrapper) -> None:
    names = [name.split(word, 1)[1] for name in numbers.keys() for word in [_prefix(words)]]  # noqa: SIM118 - no dict

    assert names == [str(word).upper() for word in words]
    assert numbers.values() == list(range(len(words)))


def _prefix(words: type[StrEnum]) -> str:
    """GROUP_ of Group, MEMORY_KIND_ of MemoryKind."""
    return "".join(f"_{letter}" if letter.isupper() else letter for letter in words.__name__).upper()[1:] + "_"


def test_absent_is_neither_zero_nor_false() -> None:
    absent = device(decoded(envelope(DeviceSnapshot(devices=(DeviceReading(pci_address="0000:03:00.0"),)))))
    zero = DeviceReading(
        pci_address="0000:03:00.0",
        integrated=False,
        subdevices=0,
        memory=(MemoryModule(subdevice=0, free_bytes=0),),
        temperatures=(TemperatureSensor(subdevice=0, celsius=0.0),),
        frequencies=(FrequencyDomain(throttle_reasons=frozenset()),),
    )

    assert (absent.integrated, absent.subdevices, absent.state.wedged, absent.memory_ok.verdict) == (
        None,
        None,
        None,
        Verdict.UNKNOWN,
    )
    assert device(decoded(envelope(DeviceSnapshot(devices=(zero,))))) == zero


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), 1e30, -999.0])
def test_a_measurement_that_cannot_be_is_not_published(value: float) -> None:
    sick = DeviceReading(
        pci_address="0000:03:00.0",
        temperatures=(TemperatureSensor(celsius=value, max_celsius=value),),
        power=(PowerDomain(watts=value, energy_joules=value, peak_limit_watts=value),),
        frequencies=(FrequencyDomain(volts=value, throttled_ratio=value, actual_hertz=-1, max_hertz=2**70),),
        engines=(EngineGroup(utilisation=value),),
        memory=(MemoryModule(size_bytes=-1, free_bytes=2**64),),
    )

    assert device(decoded(envelope(DeviceSnapshot(devices=(sick,))))) == DeviceReading(
        pci_address="0000:03:00.0",
        temperatures=(TemperatureSensor(),),
        power=(PowerDomain(),),
        frequencies=(FrequencyDomain(),),
        engines=(EngineGroup(),),
        memory=(MemoryModule(),),
    )


def test_a_measurement_that_cannot_be_is_not_believed() -> None:
    def lie(message: pb.Envelope) -> None:
        sick = message.devices.devices[0]
        sick.temperatures[0].millicelsius = 250_001
        sick.power.add(milliwatts=2**63)
        sick.engines.add(utilisation_ppm=1_000_001)
        sick.frequencies.add(actual_hertz=10**12 + 1)
        sick.uuid = b"short"

    reader = SnapshotReader()
    found = device(decode(forged(lie), reader))

    assert (found.temperatures[0].celsius, found.power[0].watts, found.engines[0].utilisation) == (None, None, None)
    assert (found.frequencies[0].actual_hertz, found.uuid) == (None, "")
    assert reader.dropped == {"implausible value": 5}


def test_a_temperature_compares_as_it_was_read() -> None:
    for tenths in range(-600, 2501):
        celsius = tenths / 10
        (sensor,) = device(decoded(envelope(DeviceSnapshot(devices=(hot_gpu(celsius),))))).temperatures
        assert sensor.celsius == celsius


def test_texts_are_cut_and_made_printable() -> None:
    reading = DeviceReading(
        pci_address="0000:03:00.0",
        model="Arc\n# HELP evil\0",
        serial_number="é" * 300,
        memory_ok=Indicator(verdict=Verdict.FAILED, reason="r" * 5000),
    )
    found = device(decoded(envelope(DeviceSnapshot(devices=(reading,)))))

    assert found.model == "Arc?# HELP evil?"
    assert found.serial_number == "é" * 128
    assert len(found.memory_ok.reason) == LONGEST_REASON


def test_numbers_of_a_newer_version_are_read_as_unknown() -> None:
    def newer(message: pb.Envelope) -> None:
        message.schema_version = 9
        message.devices.devices[0].temperatures[0].kind = 77  # type: ignore[assignment]
        message.devices.devices[0].groups.add(group=99, age_ms=1)
        message.devices.mode = -1  # type: ignore[assignment]

    found = decode(forged(newer), SnapshotReader())

    assert device(found).temperatures[0].kind is TemperatureKind.UNKNOWN
    assert set(device(found).groups) == {Group.TEMPERATURE}
    assert found.payload.mode is kinds.Mode.UNSPECIFIED


def test_a_device_without_a_sound_address_costs_only_itself() -> None:
    def add(message: pb.Envelope) -> None:
        for address in ("", "card0", "0000:03:00", "0000:03:00.0\n", "0000:3b:00.0", "0000:3B:00.1", "x" * 300):
            message.devices.devices.add(pci_address=address)

    reader = SnapshotReader()
    found = decode(forged(add), reader)

    assert [item.pci_address for item in found.payload.devices] == ["0000:3b:00.0", "0000:3b:00.1"]
    assert reader.dropped == {"device without address": 5, "device twice": 1}


def test_no_more_is_read_than_a_reader_takes() -> None:
    def flood(message: pb.Envelope) -> None:
        for number in range(MOST_DEVICES + 10):
            message.devices.devices.add(pci_address=f"{number:04x}:00:00.0")
        for _ in range(MOST_COMPONENTS + 3):
            message.devices.devices[0].temperatures.add()

    reader = SnapshotReader()
    found = decode(forged(flood), reader)

    assert len(found.payload.devices) == MOST_DEVICES
    assert len(found.payload.devices[0].temperatures) == MOST_COMPONENTS
    assert reader.dropped == {"too many": 11 + 4}


def test_only_the_groups_asked_for_are_read() -> None:
    frame = encode(envelope(full_snapshot(1)))
    found = device(decode(frame, SnapshotReader(groups=frozenset((Group.TEMPERATURE,)))))

    assert len(found.temperatures) == 3
    assert (found.engines, found.memory, found.ras, found.firmwares) == ((), (), (), ())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda message: message.ClearField("devices"), "payload"),
        (lambda message: message.ClearField("schema_version"), "schema"),
        (lambda message: message.ClearField("source"), "sender"),
        (lambda message: message.ClearField("boot_id"), "sender"),
        (lambda message: setattr(message, "boot_id", "a b"), "sender"),
        (lambda message: message.ClearField("validity_ms"), "validity"),
        (lambda message: setattr(message, "validity_ms", 2**32 - 1), "validity"),
        (lambda message: setattr(message, "sequence", 4), "sequence"),
        (lambda message: setattr(message, "wall_time_ms", 2**64 - 1), "time"),
        (lambda message: setattr(message, "monotonic_ms", 2**48 + 1), "time"),
    ],
)
def test_an_envelope_must_say_whose_it_is_and_how_old(change: Callable[[pb.Envelope], object], reason: str) -> None:
    with pytest.raises(MalformedMessageError) as raised:
        decode(forged(change), SnapshotReader())

    assert raised.value.reason == reason


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"", "topic"),
        (b"devices", "topic"),
        (b"topology\0" + b"\x08\x01", "topic"),
        (b"devices\0" + b"\xff" * 9, "not protobuf"),
        (b"devices\0" + b"\x22\x02\xff\xff", "not protobuf"),  # a text that is not UTF-8
        (b"devices\0", "schema"),
        (b"devices\0" + b"\0" * 5000, "too large"),
    ],
)
def test_frames_that_are_no_messages(frame: bytes, reason: str) -> None:
    with pytest.raises(MalformedMessageError) as raised:
        decode(frame, SnapshotReader(), largest=5000)

    assert raised.value.reason == reason


def test_fields_of_a_newer_version_are_passed_over() -> None:
    frame = encode(envelope()) + bytes.fromhex("fa3f03 616263")  # field 1023, "abc"

    assert decode(frame, SnapshotReader()) == replace(envelope(), boot_id=BOOT)
