"""What tests of the program share."""

import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest


@pytest.fixture
def directory() -> Generator[Path]:
    """Where the simulator makes its directories; pytest's own are too long for sockets."""
    path = Path(tempfile.mkdtemp(prefix="xs-", dir="/tmp"))
    yield path
    left = list(path.iterdir())
    shutil.rmtree(path)
    assert not left, "the simulator left something behind"
