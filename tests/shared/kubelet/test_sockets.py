import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from xpu_shared.kubelet.sockets import check_place, explained, put_in_place, target
from xpu_shared.sockets import OtherInstanceError, SocketError, identity, private_path, remove_own


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
        yield stream


def bound(path: Path) -> None:
    """A socket file whose listener has died."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
        stream.bind(str(path))


def test_an_empty_place_and_a_dead_socket_are_fine_and_nothing_is_left_behind(tmp_path: Path) -> None:
    check_place(tmp_path / "x.sock")
    bound(tmp_path / "x.sock")
    check_place(tmp_path / "x.sock")

    assert os.listdir(tmp_path) == ["x.sock"]


def test_a_live_listener_is_another_instance(tmp_path: Path, listener: socket.socket) -> None:
    listener.bind(str(tmp_path / "x.sock"))
    listener.listen()

    with pytest.raises(OtherInstanceError, match=r"x\.sock: another process listens"):
        check_place(tmp_path / "x.sock")


@pytest.mark.parametrize("kind", ["file", "directory", "link"])
def test_any_other_file_is_refused_by_name_and_left_alone(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.sock"
    if kind == "file":
        path.touch()
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to("elsewhere")

    with pytest.raises(SocketError, match=r"x\.sock: a file that is not a socket"):
        check_place(path)
    assert os.listdir(tmp_path) == ["x.sock"]


def test_a_missing_directory_is_told_with_errno_and_likely_cause(tmp_path: Path) -> None:
    with pytest.raises(SocketError, match=r"absent/x\.sock: ENOENT: No such file or directory; .*hostPath"):
        check_place(tmp_path / "absent/x.sock")


def test_a_read_only_directory_is_told_with_errno_and_likely_cause() -> None:
    assert "EROFS: Read-only file system; is the directory mounted read-only?" in str(
        explained(OSError(30, "Read-only file system"), Path("/x.sock"))
    )


def test_a_path_that_is_too_long_for_a_socket_is_told(tmp_path: Path) -> None:
    with pytest.raises(SocketError, match="too long"):
        check_place(tmp_path / ("x" * 120) / "x.sock")


def test_a_socket_is_put_over_a_dead_one_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    bound(path)
    bound(private_path(path))
    (private,) = (entry for entry in tmp_path.iterdir() if entry != path)

    ours = put_in_place(private, path)

    assert identity(path) == ours
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["x.sock"]


def test_a_private_socket_that_a_starting_kubelet_removed_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SocketError, match=r"x\.sock: ENOENT"):
        put_in_place(tmp_path / "gone", tmp_path / "x.sock")


def test_only_our_own_socket_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    bound(tmp_path / "private")
    ours = put_in_place(tmp_path / "private", path)
    path.unlink()
    bound(path)

    remove_own(path, ours)
    assert path.exists()

    theirs = identity(path)
    assert theirs is not None
    remove_own(path, theirs)
    assert not path.exists()


def test_a_socket_that_may_not_be_removed_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.sock"
    bound(path)
    ours = identity(path)
    assert ours is not None

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "unlink", refuse)
    remove_own(path, ours)
    assert path.exists()


@pytest.mark.parametrize("kind", ["nothing", "file", "directory", "link"])
def test_what_is_no_socket_has_no_identity(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    match kind:
        case "file":
            path.touch()
        case "directory":
            path.mkdir()
        case "link":
            bound(tmp_path / "socket")
            path.symlink_to("socket")
    assert identity(path) is None


def test_grpc_gets_percent_signs_and_blanks_escaped() -> None:
    assert target(Path("/a b/50%/x.sock")) == "unix:/a%20b/50%25/x.sock"
    assert target(Path(os.fsdecode(b"/\xff/x.sock"))) == "unix:/%FF/x.sock"
