"""The page about telemetry: its command makes keys, and it names every option, reason and metric there is."""

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import zmq

from xpu_shared.program.settings import flag_name
from xpu_shared.telemetry.counters import PublisherCounters, SubscriberCounters
from xpu_shared.telemetry.curve import read_key
from xpu_shared.telemetry.metrics import publisher_metrics, subscriber_metrics
from xpu_shared.telemetry.settings import PublisherSettings, SubscriberSettings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/telemetry.md").read_text()


def test_the_command_makes_a_pair_of_keys_for_its_owner_alone(tmp_path: Path) -> None:
    (command,) = re.findall(r"^\$ (.*)$", PAGE, re.MULTILINE)
    subprocess.run(["sh", "-c", command.replace("python3", sys.executable)], cwd=tmp_path, check=True)

    public, secret = tmp_path / "level-zero.public", tmp_path / "level-zero.secret"
    assert zmq.curve_public(read_key(secret)) == read_key(public)
    assert secret.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("settings", [SubscriberSettings, PublisherSettings])
def test_it_has_every_option(settings: type) -> None:
    assert [field.name for field in fields(settings) if f"--{flag_name(field.name)}" not in PAGE] == []


def test_it_has_every_metric() -> None:
    metrics = [*subscriber_metrics({("x", "devices"): SubscriberCounters()}), *publisher_metrics(PublisherCounters())]
    names = [f"{metric.name}_total" if metric.type == "counter" else metric.name for metric in metrics]

    assert [name for name in names if name not in PAGE] == []


def test_it_has_every_reason_to_drop_a_message() -> None:
    sources = [(ROOT / "shared/xpu_shared/telemetry" / name).read_text() for name in ("envelope.py", "freshness.py")]
    reasons = re.findall(r'MessageError\(\s*"([a-z ]+)"', "".join(sources))

    assert len(reasons) > 10
    assert [reason for reason in reasons if f"`{reason}`" not in PAGE] == []
