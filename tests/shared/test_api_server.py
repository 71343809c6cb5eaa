import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.api_server import TOKEN, MiniatureApi, serving
from xpu_shared.api_server import LARGEST_ANSWER, MERGE_PATCH, ApiError, ApiServer, NoApiServerError, is_node_name


@pytest.fixture
def both(tmp_path: Path) -> Iterator[tuple[MiniatureApi, ApiServer]]:
    with serving(tmp_path) as pair:
        yield pair


def test_a_request_carries_the_token_and_brings_the_answer(both: tuple[MiniatureApi, ApiServer]) -> None:
    miniature, api = both
    miniature.nodes["n1"] = {"metadata": {"name": "n1"}}

    assert api.request("GET", "/api/v1/nodes/n1") == {"metadata": {"name": "n1"}}
    assert miniature.tokens == [f"Bearer {TOKEN}"]


def test_a_patch_has_its_body_and_type(both: tuple[MiniatureApi, ApiServer]) -> None:
    miniature, api = both
    miniature.answers = [(200, b"{}")]

    api.request("PATCH", "/api/v1/nodes/n1", {"a": 1}, content_type=MERGE_PATCH)

    assert miniature.requests == [("PATCH", "/api/v1/nodes/n1", MERGE_PATCH, {"a": 1})]


def test_a_renewed_token_is_used(both: tuple[MiniatureApi, ApiServer]) -> None:
    miniature, api = both
    miniature.answers = [(200, b"{}"), (200, b"{}")]
    api.request("GET", "/")
    (api.service_account / "token").write_text("renewed")
    api.request("GET", "/")

    assert miniature.tokens == [f"Bearer {TOKEN}", "Bearer renewed"]


@pytest.mark.parametrize(
    ("status", "again"), [(400, False), (403, False), (404, False), (409, True), (422, False), (429, True), (503, True)]
)
def test_a_refusal_names_request_status_and_reason(
    both: tuple[MiniatureApi, ApiServer], status: int, again: bool
) -> None:
    miniature, api = both
    miniature.answers = [(status, b'{"kind": "Status", "message": "nodes \\"n1\\" is forbidden"}')]

    with pytest.raises(
        ApiError, match=rf'^GET /api/v1/nodes/n1: HTTP status {status} .*: nodes "n1" is forbidden$'
    ) as e:
        api.request("GET", "/api/v1/nodes/n1")
    assert e.value.status == status
    assert e.value.worth_repeating is again
    assert TOKEN not in str(e.value)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"\x1b[2J\0\xff" + b"x" * 10_000, r": +\[2J.{1,256}$"),
        (b'{"message": null}', "None$"),
        (b"[" * 100_000, r"\[{256}$"),
        (b"", ": $"),
    ],
)
def test_whatever_a_refusal_says_it_is_one_short_line(
    both: tuple[MiniatureApi, ApiServer], body: bytes, said: str
) -> None:
    miniature, api = both
    miniature.answers = [(500, body)]

    with pytest.raises(ApiError, match=said) as error:
        api.request("GET", "/")
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 400


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b"[" * 200_000], ids=lambda body: repr(body[:8]))
def test_an_answer_that_is_no_json_is_an_error(both: tuple[MiniatureApi, ApiServer], body: bytes) -> None:
    miniature, api = both
    miniature.answers = [(200, body)]

    with pytest.raises(ApiError, match="no JSON") as error:
        api.request("GET", "/")
    assert error.value.worth_repeating


def test_an_endless_answer_ends(both: tuple[MiniatureApi, ApiServer]) -> None:
    miniature, api = both
    miniature.answers = [(200, b'"' + b"x" * (LARGEST_ANSWER + 1) + b'"')]

    with pytest.raises(ApiError, match=f"more than {LARGEST_ANSWER} bytes"):
        api.request("GET", "/")


def test_a_server_of_another_authority_is_not_trusted(both: tuple[MiniatureApi, ApiServer], tmp_path: Path) -> None:
    _, api = both
    other = tmp_path / "other"
    other.mkdir()
    with serving(other), pytest.raises(ApiError, match="certificate verify failed"):
        ApiServer(host=api.host, port=api.port, service_account=other).request("GET", "/")


@pytest.mark.parametrize("text", ["", "no certificate"])
def test_a_file_without_an_authority_is_named(both: tuple[MiniatureApi, ApiServer], text: str) -> None:
    _, api = both
    (api.service_account / "ca.crt").write_text(text)
    with pytest.raises(ApiError, match=r"ca\.crt holds no certificate"):
        api.request("GET", "/")


def test_a_server_of_another_name_is_not_trusted(tmp_path: Path) -> None:
    with serving(tmp_path, name="elsewhere.example") as (_, api), pytest.raises(ApiError, match="Hostname mismatch"):
        api.request("GET", "/")


def test_nobody_there_is_worth_another_try(both: tuple[MiniatureApi, ApiServer]) -> None:
    _, api = both
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = ApiServer(host="127.0.0.1", port=free.getsockname()[1], service_account=api.service_account)
        with pytest.raises(ApiError, match="Connection refused") as error:
            nobody.request("GET", "/")
    assert error.value.worth_repeating


@pytest.mark.parametrize("host", ["a..b", "a b", "\udcff", "x" * 300])
def test_a_host_that_can_be_none_is_an_error_like_others(both: tuple[MiniatureApi, ApiServer], host: str) -> None:
    _, api = both
    with pytest.raises(ApiError, match="no answer from"):
        ApiServer(host=host, port=443, service_account=api.service_account).request("GET", "/")


def test_a_silent_server_is_given_up(both: tuple[MiniatureApi, ApiServer]) -> None:
    _, api = both
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mute = ApiServer(host="127.0.0.1", port=silent.getsockname()[1], service_account=api.service_account)
        with pytest.raises(ApiError, match="timed out"):
            mute.request("GET", "/", timeout=0.05)


@pytest.mark.parametrize("token", ["", "two\nlines", "é"])
def test_a_token_that_is_none_is_named(both: tuple[MiniatureApi, ApiServer], token: str) -> None:
    _, api = both
    (api.service_account / "token").write_text(token)

    with pytest.raises(ApiError, match="token holds no token"):
        api.request("GET", "/")


def test_a_pod_finds_its_server(tmp_path: Path) -> None:
    (tmp_path / "token").touch()
    (tmp_path / "ca.crt").touch()
    environment = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}

    api = ApiServer.of_this_pod(environment, tmp_path)

    assert (api.host, api.port) == ("fd00::1", 6443)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "KUBERNETES_SERVICE_HOST is not set"),
        ({"KUBERNETES_SERVICE_HOST": "h", "KUBERNETES_SERVICE_PORT": "https"}, "KUBERNETES_SERVICE_PORT='https'"),
        ({"KUBERNETES_SERVICE_HOST": "h", "KUBERNETES_SERVICE_PORT": "65536"}, "expected a port number"),
        ({"KUBERNETES_SERVICE_HOST": "h"}, "there is no .*/token"),
    ],
)
def test_without_a_server_it_says_what_is_missing(tmp_path: Path, environment: dict[str, str], said: str) -> None:
    with pytest.raises(NoApiServerError, match=said):
        ApiServer.of_this_pod(environment, tmp_path)


@pytest.mark.parametrize("name", ["n", "node-1", "ip-10-0-0-1.ec2.internal"])
def test_names_of_nodes(name: str) -> None:
    assert is_node_name(name)


@pytest.mark.parametrize("name", ["", "Node", "a/b", "..", "a..b", "-a", "a.", "a?x=y", "x" * 254, "a\n"])
def test_what_is_no_name_of_a_node(name: str) -> None:
    assert not is_node_name(name)
