from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from shared.api_server import MiniatureApi, serving
from xpu_shared.api_server import MERGE_PATCH, ApiError
from xpu_shared.labels.node import LONGEST_PAUSE, REFRESH, SHORTEST_PAUSE, NodeLabels

FOREIGN = {"kubernetes.io/os": "linux", "gpu.intel.com/xe-links-of-others": "x"}
OWN = {"gpu.intel.com/xe-links": "0.0-1.0", "gpu.intel.com/xe-links2": "Z_1"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[MiniatureApi, NodeLabels]]:
    with serving(tmp_path) as (miniature, api):
        miniature.nodes["n1"] = {"metadata": {"labels": {**FOREIGN, "gpu.intel.com/xe-links3": "Zstale"}}}
        prefix = "gpu.intel.com/xe-links"
        own = NodeLabels(api, "n1", is_own=lambda key: key == prefix or key.removeprefix(prefix).isdigit())
        yield miniature, own


def found(miniature: MiniatureApi) -> dict[str, str]:
    labels: dict[str, str] = miniature.nodes["n1"]["metadata"]["labels"]
    return labels


def patches(miniature: MiniatureApi) -> list[object]:
    return [body for method, _, _, body in miniature.requests if method == "PATCH"]


def test_one_merge_patch_sets_what_is_new_and_takes_away_what_is_stale(
    server: tuple[MiniatureApi, NodeLabels],
) -> None:
    miniature, own = server

    assert own.update(OWN, now=0)

    assert miniature.requests[-1] == (
        "PATCH",
        "/api/v1/nodes/n1",
        MERGE_PATCH,
        {"metadata": {"labels": {**OWN, "gpu.intel.com/xe-links3": None}}},
    )
    assert found(miniature) == {**FOREIGN, **OWN}


def test_a_restart_patches_nothing_that_is_there_already(server: tuple[MiniatureApi, NodeLabels]) -> None:
    miniature, own = server
    found(miniature).update(OWN)
    del found(miniature)["gpu.intel.com/xe-links3"]

    assert not own.update(OWN, now=0)
    assert patches(miniature) == []


def test_nothing_is_asked_while_nothing_changes_but_after_ten_minutes(server: tuple[MiniatureApi, NodeLabels]) -> None:
    miniature, own = server
    own.update(OWN, now=0)
    asked = len(miniature.requests)

    assert not own.update(OWN, now=REFRESH - 1)
    assert len(miniature.requests) == asked

    found(miniature).pop("gpu.intel.com/xe-links2")  # somebody's edit
    assert own.update(OWN, now=REFRESH)
    assert found(miniature) == {**FOREIGN, **OWN}


def test_a_flapping_value_is_written_at_a_bounded_rate(server: tuple[MiniatureApi, NodeLabels]) -> None:
    miniature, own = server
    for tenth in range(600):
        own.update({"gpu.intel.com/xe-links": str(tenth % 2)}, now=tenth / 10)

    assert len(patches(miniature)) <= 60 / SHORTEST_PAUSE


def test_failures_are_tried_again_ever_more_slowly(server: tuple[MiniatureApi, NodeLabels]) -> None:
    miniature, own = server
    miniature.answers = [(503, b"")] * 8
    tried = []
    now = 0.0
    while miniature.answers:
        if own.due(OWN, now=now):
            tried.append(now)
            with pytest.raises(ApiError):
                own.update(OWN, now=now)
        now += 1

    gaps = [later - earlier for earlier, later in pairwise(tried)]
    assert gaps == sorted(gaps)
    assert gaps[0] == SHORTEST_PAUSE
    assert gaps[-1] == LONGEST_PAUSE
    assert own.update(OWN, now=now + LONGEST_PAUSE)


def test_removal_takes_all_own_labels_and_no_others(server: tuple[MiniatureApi, NodeLabels]) -> None:
    miniature, own = server
    own.update(OWN, now=0)
    own.remove()

    assert found(miniature) == FOREIGN


@pytest.mark.parametrize("answer", [b"[]", b"null", b'{"metadata": null}', b'{"metadata": {"labels": null}}', b"{}"])
def test_a_node_without_labels_gets_them(server: tuple[MiniatureApi, NodeLabels], answer: bytes) -> None:
    miniature, own = server
    miniature.answers = [(200, answer)]

    assert own.update(OWN, now=0)
    assert patches(miniature) == [{"metadata": {"labels": OWN}}]


def test_another_name_than_a_nodes_is_refused_before_any_request(server: tuple[MiniatureApi, NodeLabels]) -> None:
    _, own = server
    with pytest.raises(ValueError, match=r"node name '\.\./x'"):
        NodeLabels(own._api, "../x", is_own=lambda key: False)
