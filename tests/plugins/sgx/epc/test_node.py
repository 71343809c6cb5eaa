"""The node's object, on a server that speaks HTTPS."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.api_server import MiniatureApi, serving
from xpu_plugins.sgx.epc.node import operations
from xpu_plugins.sgx.epc.program import FailedError, attempt, registering, run
from xpu_plugins.sgx.epc.settings import EpcSettings
from xpu_shared.api_server import JSON_PATCH, ApiServer

TOTAL = 15_019_802_624
CAPACITY = {"op": "add", "path": "/status/capacity/sgx.intel.com~1epc", "value": TOTAL}
LABEL = {"op": "add", "path": "/metadata/labels/sgx.intel.com~1capable", "value": "true"}


def node(capacity: object = None, label: str | None = None) -> dict[str, Any]:
    labels = {"kubernetes.io/arch": "amd64"} | ({"sgx.intel.com/capable": label} if label else {})
    return {
        "metadata": {"name": "n1", "labels": labels},
        "status": {"capacity": {"cpu": "8"} | ({"sgx.intel.com/epc": capacity} if capacity is not None else {})},
    }


@pytest.fixture
def both(tmp_path: Path) -> Iterator[tuple[MiniatureApi, ApiServer]]:
    with serving(tmp_path) as (miniature, api):
        miniature.nodes["n1"] = node()
        yield miniature, api


def environment(api: ApiServer, name: str = "n1") -> dict[str, str]:
    return {"NODE_NAME": name, "KUBERNETES_SERVICE_HOST": api.host, "KUBERNETES_SERVICE_PORT": str(api.port)}


def kernel(root: Path, size: int) -> Path:
    directory = root / "sys/devices/system/node/node0/x86"
    directory.mkdir(parents=True)
    (directory / "sgx_total_bytes").write_text(f"{size}\n")
    return root / "sys"


def test_example_e1_one_patch_has_the_number_and_the_label() -> None:
    assert operations(node(), TOTAL, register=True, label=True) == [CAPACITY, LABEL]


def test_what_is_said_already_is_not_patched() -> None:
    assert operations(node(str(TOTAL), "true"), TOTAL, register=True, label=True) == []


def test_a_node_without_epc_has_capacity_0_and_no_label() -> None:
    patch = operations(node("4096", "true"), 0, register=True, label=True)

    assert patch == [CAPACITY | {"value": 0}, {"op": "remove", "path": LABEL["path"]}]
    assert operations(node(), 0, register=False, label=True) == []


@pytest.mark.parametrize("odd", [None, [], {}, {"metadata": None, "status": {"capacity": "8"}}])
def test_an_object_without_the_maps_gets_them(odd: object) -> None:
    assert operations(odd, 1, register=True, label=True) == [
        {"op": "add", "path": "/status/capacity", "value": {"sgx.intel.com/epc": 1}},
        {"op": "add", "path": "/metadata/labels", "value": {"sgx.intel.com/capable": "true"}},
    ]


def test_registered_the_node_says_it_and_nothing_is_printed(
    both: tuple[MiniatureApi, ApiServer], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    miniature, api = both
    settings = EpcSettings(register=True, node_label=True, cpuid_source=("sysfs",), sysfs_root=kernel(tmp_path, TOTAL))

    assert run(settings, environment(api), tmp_path) == 0
    assert capsys.readouterr().out == ""
    assert [(method, path, kind) for method, path, kind, _ in miniature.requests] == [
        ("GET", "/api/v1/nodes/n1", "application/json"),
        ("PATCH", "/api/v1/nodes/n1/status", JSON_PATCH),
    ]
    assert miniature.requests[1][3] == [CAPACITY, LABEL]
    assert miniature.nodes["n1"]["status"]["capacity"]["sgx.intel.com/epc"] == TOTAL


@pytest.mark.parametrize("status", [403, 404, 409, 429, 500])
def test_a_failure_names_node_status_and_the_verb_that_is_not_allowed(
    both: tuple[MiniatureApi, ApiServer], tmp_path: Path, status: int
) -> None:
    miniature, api = both
    miniature.answers = [(status, b'{"message": "no"}')]
    registration = registering(EpcSettings(register=True), environment(api), 1, tmp_path)

    with pytest.raises(FailedError, match=rf"^node n1: GET /api/v1/nodes/n1: HTTP status {status} .*: no") as error:
        attempt(registration, patient=False)
    assert ("needs: get nodes" in str(error.value)) is (status == 403)
    assert "secret" not in str(error.value)


def test_a_patch_that_is_forbidden_names_its_verb(both: tuple[MiniatureApi, ApiServer], tmp_path: Path) -> None:
    miniature, api = both
    miniature.answers = [(200, b"{}"), (403, b'{"message": "no"}')]
    registration = registering(EpcSettings(register=True), environment(api), 1, tmp_path)

    with pytest.raises(
        FailedError, match=r"PATCH /api/v1/nodes/n1/status: HTTP status 403 .*needs: patch nodes/status"
    ):
        attempt(registration, patient=True)


@pytest.mark.parametrize(
    "answer",
    [
        b"[]", b"null", b'"n1"', b'{"metadata": "n1"}', b'{"status": []}', b'{"metadata": {"labels": "a"}}',
        b'{"status": {"capacity": "8"}}', b'{"metadata": {"name": "n2"}}', b'{"metadata": {"name": "n', b"",
    ],
)  # fmt: skip
def test_an_answer_that_is_not_the_node_is_never_patched_and_a_daemon_asks_again(
    both: tuple[MiniatureApi, ApiServer], tmp_path: Path, answer: bytes
) -> None:
    miniature, api = both
    registration = registering(EpcSettings(register=True, node_label=True), environment(api), TOTAL, tmp_path)
    miniature.answers = [(200, answer)]
    with pytest.raises(FailedError, match=r"^node n1: GET /api/v1/nodes/n1: "):
        attempt(registration, patient=False)
    assert [method for method, *_ in miniature.requests] == ["GET"]

    miniature.answers = [(200, answer)]
    pauses: list[float] = []
    attempt(registration, patient=True, sleep=pauses.append)
    assert pauses == [1.0]
    assert miniature.requests[-1][3] == [CAPACITY, LABEL]


def test_a_daemon_tries_again_within_30_seconds(both: tuple[MiniatureApi, ApiServer], tmp_path: Path) -> None:
    miniature, api = both
    miniature.answers = [(status, b"{}") for status in (409, 429, 500, 503, 500, 500, 500, 500)]
    pauses: list[float] = []
    attempt(
        registering(EpcSettings(register=True), environment(api), TOTAL, tmp_path), patient=True, sleep=pauses.append
    )

    assert len(pauses) == 8
    assert max(pauses) == 30
    assert miniature.nodes["n1"]["status"]["capacity"]["sgx.intel.com/epc"] == TOTAL


@pytest.mark.parametrize("name", ["", "N1", "a/b", "..", "a b", "x" * 300, "n1\n"])
def test_a_name_that_is_no_nodes_is_refused_before_any_request(
    both: tuple[MiniatureApi, ApiServer], tmp_path: Path, name: str
) -> None:
    miniature, api = both
    with pytest.raises(FailedError, match="NODE_NAME="):
        registering(EpcSettings(register=True), environment(api, name), 1, tmp_path)
    assert miniature.requests == []


def test_outside_a_pod_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(FailedError, match="node n1: KUBERNETES_SERVICE_HOST is not set"):
        registering(EpcSettings(register=True), {"NODE_NAME": "n1"}, 1, tmp_path)
