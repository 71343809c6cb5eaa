from pathlib import Path

import pytest

from handmade_idxd import HandmadeIdxd


@pytest.fixture
def node(tmp_path: Path) -> HandmadeIdxd:
    return HandmadeIdxd(tmp_path)
