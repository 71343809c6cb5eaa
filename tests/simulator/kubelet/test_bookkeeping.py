from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xpu_simulator.kubelet.bookkeeping import AlreadyConnectedError, Bookkeeping


@dataclass(frozen=True)
class Connection:
    number: int
    socket: str = "a.sock"
    resource: str = "example.com/card"


OLD, NEW = Connection(1), Connection(2)
OTHER_PATH = Connection(3, socket="b.sock")


def register(book: Bookkeeping[Connection], connection: Connection) -> None:
    book.track(connection)
    try:
        book.connect(connection)
    except AlreadyConnectedError:
        book.untrack(connection)
        raise


def test_the_newest_registration_of_a_name_speaks_for_it() -> None:
    book: Bookkeeping[Connection] = Bookkeeping(by_path=False)
    register(book, OLD)
    register(book, NEW)

    assert book.speaker(OLD.resource) is NEW


def test_kept_by_name_the_end_of_the_old_stream_disconnects_the_new_connection() -> None:
    book: Bookkeeping[Connection] = Bookkeeping(by_path=False)
    register(book, OLD)
    register(book, NEW)

    ended = book.stream_ended(OLD)

    assert (ended.close, ended.resource_lost) == (NEW, True)
    assert book.speaker(OLD.resource) is None
    assert book.stream_ended(NEW).close is None


def test_kept_by_path_a_second_registration_of_a_connected_path_fails() -> None:
    book: Bookkeeping[Connection] = Bookkeeping(by_path=True)
    register(book, OLD)

    with pytest.raises(AlreadyConnectedError, match=r"^device plugin already connected: a\.sock$"):
        register(book, NEW)
    assert book.speaker(OLD.resource) is OLD


def test_kept_by_path_a_refused_registration_leaves_an_entry_that_nothing_removes() -> None:
    book: Bookkeeping[Connection] = Bookkeeping(by_path=True)
    register(book, OLD)
    with pytest.raises(AlreadyConnectedError):
        register(book, NEW)

    ended = book.stream_ended(OLD)

    assert (ended.close, ended.resource_lost) == (None, False)
    with pytest.raises(AlreadyConnectedError):
        register(book, NEW)


def test_kept_by_path_a_path_is_free_again_when_its_stream_has_ended() -> None:
    book: Bookkeeping[Connection] = Bookkeeping(by_path=True)
    register(book, OLD)
    assert book.stream_ended(OLD).resource_lost

    register(book, NEW)

    assert book.speaker(OLD.resource) is NEW


def test_kept_by_path_another_path_takes_over_when_one_ends() -> None:
    book: Bookkeeping[Connection] = Bookkeeping(by_path=True)
    register(book, OLD)
    register(book, OTHER_PATH)

    ended = book.stream_ended(OTHER_PATH)

    assert (ended.close, ended.resource_lost) == (OTHER_PATH, False)
    assert book.speaker(OLD.resource) is OLD


@settings(deadline=None)
@given(
    by_path=st.booleans(),
    steps=st.lists(
        st.tuples(st.sampled_from(["register", "end"]), st.integers(0, 5), st.sampled_from("ab")), max_size=30
    ),
)
def test_a_connection_that_was_closed_never_speaks(by_path: bool, steps: list[tuple[str, int, str]]) -> None:
    book: Bookkeeping[Connection] = Bookkeeping(by_path=by_path)
    open_connections: list[Connection] = []
    for number, (step, which, socket) in enumerate(steps):
        if step == "register":
            connection = Connection(number, socket=socket)
            try:
                register(book, connection)
            except AlreadyConnectedError:
                continue
            open_connections.append(connection)
        elif open_connections:
            ended = open_connections[which % len(open_connections)]
            closed = book.stream_ended(ended).close
            open_connections = [connection for connection in open_connections if connection not in (ended, closed)]
            assert closed is None or book.speaker(ended.resource) is not closed
        if not by_path and not open_connections:
            assert book.speaker("example.com/card") is None
