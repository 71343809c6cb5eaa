"""Fuzz what a subscriber does with a frame: no error but the two that mean "not usable", and no growing memory.

A frame that breaks something is printed with its seed. The frames are whole messages with odd values as well as spoilt
bytes; the fuzzer that is led by coverage (`targets.py`) finds its own way, and gets less far into a message.
"""

import time
from dataclasses import replace
from pathlib import Path
from random import Random

from fuzz.mutations import mutated
from telemetry_examples import envelope, full_snapshot, hot_gpu
from xpu_shared.telemetry.bounds import COLDEST, HOTTEST, LONGEST_REASON, MAX_SKEW, MOST_DEVICES
from xpu_shared.telemetry.decoding import PCI_ADDRESS, SnapshotReader
from xpu_shared.telemetry.envelope import MalformedMessageError, decode, encode
from xpu_shared.telemetry.freshness import Now, OutdatedMessageError, Received, received
from xpu_shared.telemetry.readings import DeviceSnapshot, Envelope, SourceProblem, WslDevices

SEEDS = tuple(
    encode(envelope(payload))
    for payload in (
        DeviceSnapshot(),
        DeviceSnapshot(unavailable="no driver", problems=(SourceProblem(subject="a", text="b"),)),
        DeviceSnapshot(wsl=WslDevices(indices=(0, 1), hierarchy="FLAT")),
        DeviceSnapshot(devices=(hot_gpu(103.2), hot_gpu(61.5))),
        full_snapshot(1),
        full_snapshot(2, subdevices=2),
    )
)
NOW = Now(boot_id=envelope().boot_id, monotonic=13.0, wall=1_790_000_000.0)
GROWTH = 8 * 1024  # KiB that may be in use more at the end than after the first tenth
SLOWEST = 1.0  # seconds for one frame


def main(count: int, seed: int) -> int:
    random = Random(seed)
    reader, last, good, started, memory = SnapshotReader(), None, 0, time.monotonic(), 0
    for number in range(count):
        frame = mutated(random, SEEDS)
        began = time.monotonic()
        try:
            last = take(frame, reader, last if random.random() < 0.5 else None)
            good += 1
        except (MalformedMessageError, OutdatedMessageError):
            pass
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what we look for
            print(f"frame {number} of seed {seed}: {error!r}\n{frame.hex()}")
            return 1
        if time.monotonic() - began > SLOWEST:
            print(f"frame {number} of seed {seed}: took {time.monotonic() - began:.1f} s\n{frame.hex()}")
            return 1
        if number == count // 10:
            memory = anonymous_kib()
    grown = anonymous_kib() - memory
    seconds = time.monotonic() - started
    print(f"{count} frames in {seconds:.0f} s, {good} of them taken, seed {seed}: no crash, {grown} KiB more memory")
    print(f"values dropped in them: {dict(sorted(reader.dropped.items()))}")
    return 1 if grown > GROWTH else 0


def take(frame: bytes, reader: SnapshotReader, last: Received | None) -> Received:
    """What a subscriber does with a frame, and that what it makes of it is sound."""
    message = decode(frame, reader)
    check(message.payload)
    news = received(message, last, node="", max_skew=MAX_SKEW, now=NOW)
    again = decode(encode(message), SnapshotReader())
    assert rounded(again) == rounded(message), "what was read is not what would be written"
    return news


def rounded(message: Envelope) -> Envelope:
    """Without energies above 2^53 µJ, of which a float does not hold each."""
    devices = tuple(
        replace(
            device, power=tuple(replace(domain, energy_joules=_exact(domain.energy_joules)) for domain in device.power)
        )
        for device in message.payload.devices
    )
    return replace(message, payload=replace(message.payload, devices=devices))


def _exact(joules: float | None) -> float | None:
    return joules if joules is None or joules < 2**53 / 1_000_000 else None


def check(snapshot: DeviceSnapshot) -> None:
    """Raise AssertionError when a value is not what a reader relies on."""
    assert len(snapshot.devices) <= MOST_DEVICES
    for device in snapshot.devices:
        assert PCI_ADDRESS.fullmatch(device.pci_address)
        assert len(device.uuid) in (0, 36)
        for text in (device.model, device.serial_number, device.driver_version, device.memory_ok.reason):
            assert len(text.encode()) <= LONGEST_REASON
            assert text.isprintable()
        for sensor in device.temperatures:
            assert sensor.celsius is None or COLDEST <= sensor.celsius <= HOTTEST
        for engine in device.engines:
            assert engine.utilisation is None or 0 <= engine.utilisation <= 1


def anonymous_kib() -> int:
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))
