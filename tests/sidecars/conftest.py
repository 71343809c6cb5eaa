"""The library is compiled once for all tests, as new and as old as loaders are."""

from pathlib import Path

import pytest

from level_zero import Scenario, scenario
from xpu_simulator.level_zero.build import compile_library


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_library(tmp_path_factory.mktemp("level-zero"))


@pytest.fixture(scope="session")
def compiled_old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A loader of API 1.4: without zesInit."""
    return compile_library(tmp_path_factory.mktemp("level-zero-old"), api=104)


@pytest.fixture
def library(compiled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scenario:
    return scenario(compiled, tmp_path, monkeypatch)


@pytest.fixture
def old_library(compiled_old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scenario:
    return scenario(compiled_old, tmp_path, monkeypatch)
