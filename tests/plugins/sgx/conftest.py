from pathlib import Path

import pytest

from handmade_sgx import HandmadeSgx


@pytest.fixture
def sgx(tmp_path: Path) -> HandmadeSgx:
    return HandmadeSgx(tmp_path)
