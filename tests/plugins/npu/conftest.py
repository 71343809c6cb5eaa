from pathlib import Path

import pytest

from handmade_npus import HandmadeNpus


@pytest.fixture
def npus(tmp_path: Path) -> HandmadeNpus:
    return HandmadeNpus(tmp_path)
