"""Connections with one end gone: in time the host takes the server for lost, and the server the host."""

import os
import socket
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, select, text
from sqlalchemy.exc import DBAPIError

from guestbook.lib import clock
from guestbook.queue import claims
from guestbook.storage import database, engines
from guestbook.storage.database import db
from guestbook.storage.models import DELIVERIES, Webhook
from tests.conftest import running
from tests.support import processes
from tests.support.book import Book

pytestmark = pytest.mark.parametrize("each_environ", ["postgresql", "mariadb"], indirect=True)

SOON = 3  # seconds, in place of half a minute


@pytest.fixture
def hasty(each_environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """The engine of a host to which the server has less patience."""
    monkeypatch.setattr(engines, "SILENCE", SOON)
    with running(each_environ) as app, app.app_context():
        yield db.engine


def test_tcp_ends_a_connection_after_half_a_minute_of_silence(each_book: Book) -> None:
    with each_book.engine.connect() as connection, _socket(connection) as own:
        found = {
            name: own.getsockopt(socket.IPPROTO_TCP, getattr(socket, f"TCP_{name}"))
            for name in ("KEEPIDLE", "KEEPINTVL", "KEEPCNT", "USER_TIMEOUT")
        }
        assert found == {"KEEPIDLE": 10, "KEEPINTVL": 5, "KEEPCNT": 4, "USER_TIMEOUT": 30_000}
        assert own.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1


def test_the_server_bears_half_a_minute_too(each_book: Book) -> None:
    with each_book.engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            names = [f"tcp_keepalives_{name}" for name in ("idle", "interval", "count")]
            names.append("idle_in_transaction_session_timeout")
            shown = [connection.scalar(text(f"SHOW {name}")) for name in names]
            assert shown == ["10", "5", "4", "30s"]
        else:
            assert connection.scalar(text("SELECT @@idle_transaction_timeout, @@net_read_timeout")) == 30


def test_what_a_frozen_host_has_locked_is_free_again_and_it_hears_of_that(
    each_book: Book, hasty: Engine
) -> None:
    each_book.stock(each_book.webhook("http://127.0.0.1:1/"), 2)
    with hasty.connect() as frozen:
        assert len(_claim(frozen)) == 2
        assert _claim_elsewhere(each_book) == 0
        processes.wait_for(lambda: _claim_elsewhere(each_book) == 2, SOON + 10)
        with pytest.raises(DBAPIError) as raised:
            frozen.commit()
    assert database.is_away(raised.value)
    with hasty.connect() as second:
        assert len(_claim(second)) == 2


def test_a_copy_of_a_book_may_look_at_one_side_for_as_long_as_it_likes(each_book: Book) -> None:
    with engines.opened(each_book.settings) as engine, engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            assert connection.scalar(text("SHOW idle_in_transaction_session_timeout")) == "0"
        else:
            assert connection.scalar(text("SELECT @@idle_transaction_timeout")) == 0


def _socket(connection: Connection) -> socket.socket:
    """Return our end of it once more."""
    raw: Any = connection.connection.dbapi_connection
    return socket.socket(fileno=os.dup(getattr(raw, "_sock", raw).fileno()))


def _claim(connection: Connection) -> list[str]:
    now = clock.now()
    [hook] = connection.scalars(select(Webhook.id)).all()
    rows = claims.claim(connection, DELIVERIES, ("id", "sequence"), hook, now=now, limit=9)
    until = now + timedelta(seconds=60)
    return sorted(claims.lease(connection, DELIVERIES, rows, now=now, until=until, token="t"))


def _claim_elsewhere(book: Book) -> int:
    """Return how many rows another pass would get."""
    with book.engine.connect() as connection:
        rows = _claim(connection)
        connection.rollback()
        return len(rows)


def test_a_claim_and_its_end_lock_no_webhook(each_book: Book) -> None:
    webhook_id = each_book.webhook("http://127.0.0.1:1/")
    each_book.stock(webhook_id, 2)
    with database.write(each_book.engine) as connection:
        leased = _claim(connection)
        assert len(leased) == 2
        claims.finish(connection, DELIVERIES, sorted(leased), "processed", finished_at=clock.now())
        with database.write(each_book.engine) as other:  # as another pass that writes down its health
            query = select(Webhook.id).with_for_update(nowait=True, key_share=True)
            assert other.scalars(query).all() == [webhook_id]
