"""One conversation with a real SMTP server: its deadline, its sockets, and no thread."""

import gc
import threading
import time
import warnings
from collections.abc import Iterator

import pytest

from guestbook.transport import addresses
from guestbook.transport.email_by_smtp import SmtpServer
from guestbook.transport.failure import TransportError
from tests.support.mail_server import MailServer

MESSAGE = b"Subject: Hello\r\n\r\nHello\r\n.\r\nMAIL FROM:<x@example.org>\r\n"


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


def send(server: MailServer, seconds: float = 10.0, *, user: str = "") -> int:
    client = SmtpServer(f"smtp://{user}127.0.0.1:{server.port}", addresses.without_threads)
    return client.send("book@example.org", "owner@example.org", MESSAGE, seconds)[0]


@pytest.mark.parametrize(("command", "code"), [("", 220), ("EHLO", 250), ("RCPT", 250), ("DATA", 250)])
def test_an_answer_byte_by_byte_moves_no_deadline(server: MailServer, command: str, code: int) -> None:
    server.answers[command] = f"{code} " + "x" * 300  # takes 30 seconds
    server.trickled.add(command)
    begin = time.monotonic()
    with pytest.raises(TransportError) as raised:
        send(server, 0.6)
    assert 0.5 < time.monotonic() - begin < 5
    assert str(raised.value) == "The receiver did not answer in time."
    assert raised.value.unreachable


def test_a_farewell_that_never_comes_costs_a_second_and_no_message(server: MailServer) -> None:
    server.answers["QUIT"] = ""
    begin = time.monotonic()
    assert send(server, 25.0) == 250
    assert time.monotonic() - begin < 10
    assert [sender for sender, _, _ in server.messages] == ["book@example.org"]


def test_a_line_with_a_dot_does_not_end_the_message(server: MailServer) -> None:
    send(server)
    assert [text for _, _, text in server.messages] == [MESSAGE]


@pytest.mark.parametrize("answer", ["hello", "099 x", "700 x"])
def test_an_answer_that_is_not_smtp_is_a_failure(server: MailServer, answer: str) -> None:
    server.answers["MAIL"] = answer
    with pytest.raises(TransportError, match="does not speak SMTP"):
        send(server)


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("", "200 news server ready"),
        ("AUTH", "250 fine"),
        ("MAIL", "251 fine"),
        ("RCPT", "252 perhaps"),
        ("RCPT", "354 go"),
    ],
)
def test_a_server_that_agrees_in_the_wrong_place_has_not_taken_the_message(
    server: MailServer, command: str, answer: str
) -> None:
    server.answers[command] = answer
    with pytest.raises(TransportError, match="does not speak SMTP"):
        send(server, user="book:secret@")
    assert server.messages == []


def test_the_senders_refusal_counts_and_nothing_more_is_said(server: MailServer) -> None:
    server.answers["MAIL"] = "421 4.3.2 closing"
    assert send(server) == 421
    assert "RCPT" not in dict(server.commands)


@pytest.mark.parametrize("refused", ["", "EHLO", "RCPT", "none"])
def test_a_conversation_leaves_no_socket_and_starts_no_thread(server: MailServer, refused: str) -> None:
    """What the conversation leaves is young: to look through all that the suite has made takes seconds."""
    server.answers = {refused: "450 later"}
    gc.collect(0)
    gc.disable()
    try:
        ours = set(threading.enumerate())
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ResourceWarning)
            send(server)
            gc.collect(0)
    finally:
        gc.enable()
    assert [str(one.message) for one in caught if "127.0.0.1" in str(one.message)] == []
    started = {one.name for one in set(threading.enumerate()) - ours}
    assert not {name for name in started if name.startswith("lookup")}
