"""Layouts that tests are about."""

from pathlib import Path

import pytest

from provisioned import IdxdNode


@pytest.fixture
def node(tmp_path: Path) -> IdxdNode:
    """With dsa11, disabled and not configured."""
    return IdxdNode(tmp_path)
