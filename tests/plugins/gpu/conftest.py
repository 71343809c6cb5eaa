from pathlib import Path

import pytest

from handmade_gpus import HandmadeGpus


@pytest.fixture
def gpus(tmp_path: Path) -> HandmadeGpus:
    return HandmadeGpus(tmp_path)
