"""tcp:// with keys: who is let in, who is not, and what becomes of those who are let in later."""

import socket
from pathlib import Path

import pytest
import zmq

from telemetry_examples import full_snapshot
from telemetry_transport import publishing, snapshot, subscribed, until, version
from xpu_shared.sockets import SocketError
from xpu_shared.telemetry.bounds import Limits
from xpu_shared.telemetry.curve import AllowedKeys, KeyFileError, ServerKeys, client_keys, read_key


class Keys:
    """Key files of one publisher and of subscribers."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.server_public, self.server_secret = self.pair("server")
        self.allowed = directory / "allowed"
        self.allowed.write_text("# nobody yet\n")

    def pair(self, name: str) -> tuple[Path, Path]:
        public, secret = zmq.curve_keypair()
        paths = self.directory / f"{name}.public", self.directory / f"{name}.secret"
        paths[0].write_bytes(public + b"\n")
        paths[1].write_bytes(secret)
        return paths

    def allow(self, *public: Path) -> None:
        lines = ["# subscribers of node-1\n", "\n", *(f"{path.read_text().strip()} {path.name}\n" for path in public)]
        self.allowed.write_text("".join(lines))

    @property
    def server(self) -> ServerKeys:
        return ServerKeys(secret=read_key(self.server_secret), allowed=AllowedKeys(self.allowed))


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path)


@pytest.fixture
def endpoint() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{free.getsockname()[1]}"


async def test_an_allowed_key_gets_snapshots(keys: Keys, endpoint: str) -> None:
    public, secret = keys.pair("client")
    keys.allow(public)
    with publishing(endpoint, keys=keys.server) as publisher:
        publisher.publish(snapshot("a"))
        async with subscribed(endpoint, keys=client_keys(secret, keys.server_public)) as subscriber:
            await until(lambda: version(subscriber) == "a")


async def test_any_other_key_gets_nothing_until_it_is_allowed(keys: Keys, endpoint: str) -> None:
    """libzmq without an authenticator lets every key in, and a refused client never tries again by itself."""
    public, secret = keys.pair("client")
    with publishing(endpoint, keys=keys.server) as publisher:
        publisher.publish(snapshot("a"))
        async with subscribed(endpoint, keys=client_keys(secret, keys.server_public)) as subscriber:
            await until(lambda: subscriber.counters.handshake_failures > 0)
            assert (subscriber.newest, publisher.counters.subscriptions) == (None, 0)
            assert publisher.counters.refused_keys > 0
            keys.allow(public)
            await until(lambda: version(subscriber) == "a")


async def test_a_publisher_with_another_key_is_not_listened_to(keys: Keys, endpoint: str) -> None:
    public, secret = keys.pair("client")
    keys.allow(public)
    other, _ = keys.pair("other")
    with publishing(endpoint, keys=keys.server) as publisher:
        publisher.publish(snapshot("a"))
        async with subscribed(endpoint, keys=client_keys(secret, other)) as subscriber:
            await until(lambda: subscriber.counters.handshake_failures > 0)

    assert subscriber.newest is None
    assert subscriber.counters.handshake_failures < 5  # libzmq by itself would try ten times a second


async def test_a_subscriber_without_keys_gets_nothing(keys: Keys, endpoint: str) -> None:
    with publishing(endpoint, keys=keys.server) as publisher:
        publisher.publish(snapshot("a"))
        async with subscribed(endpoint) as subscriber:
            await until(lambda: subscriber.counters.handshake_failures > 0)
            assert (subscriber.newest, publisher.counters.subscriptions) == (None, 0)


async def test_tcp_is_not_published_on_without_keys(endpoint: str) -> None:
    with (
        publishing(endpoint, opened=False) as publisher,
        pytest.raises(SocketError, match="tcp is only used with keys"),
    ):
        publisher.open()


async def test_a_port_in_use_is_named(keys: Keys, endpoint: str) -> None:
    with (
        publishing(endpoint, keys=keys.server),
        publishing(endpoint, keys=keys.server, opened=False) as second,
        pytest.raises(SocketError, match=rf"{endpoint}: Address already in use"),
    ):
        second.open()


async def test_one_publisher_serves_a_unix_socket_without_keys_and_tcp_with_them(keys: Keys, endpoint: str) -> None:
    public, secret = keys.pair("client")
    keys.allow(public)
    local = f"ipc://{keys.directory}/xpu/x.sock"
    with publishing(local, endpoint, keys=keys.server) as publisher:
        publisher.publish(snapshot("a"))
        async with (
            subscribed(local, keys=client_keys(secret, keys.server_public)) as near,
            subscribed(endpoint, keys=client_keys(secret, keys.server_public)) as far,
        ):
            await until(lambda: version(near) == version(far) == "a")
            assert publisher.counters.subscriptions == 2


async def test_a_publisher_that_starts_again_is_found_over_tcp(keys: Keys, endpoint: str) -> None:
    public, secret = keys.pair("client")
    keys.allow(public)
    async with subscribed(endpoint, keys=client_keys(secret, keys.server_public)) as subscriber:
        for text in ("first", "second"):
            with publishing(endpoint, keys=keys.server) as publisher:
                publisher.publish(snapshot(text))
                await until(lambda text=text: version(subscriber) == text)  # type: ignore[misc]
            await until(lambda: not subscriber.counters.connected)

    assert (subscriber.counters.restarts, subscriber.counters.dropped["too large"]) == (1, 0)


async def test_a_message_above_the_limit_costs_a_new_socket_over_tcp_too(keys: Keys, endpoint: str) -> None:
    public, secret = keys.pair("client")
    keys.allow(public)
    with publishing(endpoint, keys=keys.server) as publisher:
        async with subscribed(
            endpoint, keys=client_keys(secret, keys.server_public), limits=Limits(largest=2000)
        ) as subscriber:
            publisher.publish(full_snapshot(8))
            await until(lambda: subscriber.counters.dropped["too large"] > 0)
            publisher.publish(snapshot("small"))
            await until(lambda: version(subscriber) == "small")


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 41, b"a" * 39 + b"~", b"\xff" * 40, b"k" * 70_000])
def test_a_file_without_a_key_is_named_and_not_quoted(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "secret.key"
    path.write_bytes(content)
    with pytest.raises(KeyFileError, match=r"secret\.key: ") as raised:
        read_key(path)

    assert content[:8].decode(errors="replace") not in str(raised.value) or not content


def test_a_key_file_that_is_absent_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"none\.key: No such file"):
        read_key(tmp_path / "none.key")
    with pytest.raises(KeyFileError, match=r"none\.keys: No such file"):
        AllowedKeys(tmp_path / "none.keys")


def test_a_list_with_a_bad_key_names_it(keys: Keys) -> None:
    keys.allowed.write_text("# remark\nnot-a-key\n")
    with pytest.raises(KeyFileError, match=r"allowed: key 1: expected 40 characters of Z85"):
        AllowedKeys(keys.allowed)


def test_a_list_that_becomes_unreadable_stays_as_it_was(keys: Keys) -> None:
    public, _ = keys.pair("client")
    keys.allow(public)
    allowed = AllowedKeys(keys.allowed)
    keys.allowed.unlink()

    assert allowed.allows(read_key(public))
    keys.allowed.write_text("")
    assert not allowed.allows(read_key(public))
