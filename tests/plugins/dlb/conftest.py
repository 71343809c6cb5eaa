from pathlib import Path

import pytest

from handmade_dlb import HandmadeDlb


@pytest.fixture
def dlb(tmp_path: Path) -> HandmadeDlb:
    return HandmadeDlb(tmp_path)
