"""After a pass that could not store what it had done, the next one sends nothing until there is room."""

import pytest
from flask import Flask
from sqlalchemy import Engine

from guestbook.background import whole_pass
from guestbook.outbound.attempt_recorder import Tally
from guestbook.storage import database, writable_check
from tests.support.book import Book
from tests.support.receiver import Receiver

SERVERS = pytest.mark.parametrize("each_environ", ["postgresql", "mariadb"], indirect=True)
# What a server says when no file of the table can grow.
FULL = {
    "postgresql": (
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$",
        "CREATE TRIGGER full_disk BEFORE INSERT ON attempts FOR EACH ROW EXECUTE FUNCTION refuse()",
    ),
    "mysql": (
        "CREATE TRIGGER full_disk BEFORE INSERT ON attempts FOR EACH ROW "
        "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1114, MESSAGE_TEXT = 'The table is full'",
    ),
}
FREE = {
    "postgresql": ("DROP TRIGGER full_disk ON attempts", "DROP FUNCTION refuse"),
    "mysql": ("DROP TRIGGER full_disk",),
}

READS_ONLY = {
    "postgresql": "SET default_transaction_read_only = on",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
}


def execute(engine: Engine, statements: dict[str, tuple[str, ...]]) -> None:
    with engine.begin() as connection:
        for one in statements[engine.dialect.name]:
            connection.exec_driver_sql(one)


def cron(app: Flask) -> tuple[int, str]:
    result = app.test_cli_runner().invoke(args=["cron"])
    return result.exit_code, result.stderr


@SERVERS
def test_what_a_full_server_could_not_record_is_sent_once_more_when_it_has_room(
    each_app: Flask, each_book: Book, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "RETRY_FOR", 0.1)
    each_book.webhook(receiver.url())
    each_book.publish(3)
    execute(each_book.engine, FULL)
    for _ in range(3):
        code, said = cron(each_app)
        assert (code, said.startswith("The database cannot be used now: ")) == (75, True)
        assert len(receiver.requests) == 3
        each_book.expire()
    execute(each_book.engine, FREE)
    assert cron(each_app) == (0, "")
    assert each_book.statuses() == {"processed": 3}
    assert set(receiver.event_ids("/").values()) == {2}


@SERVERS
def test_a_server_with_room_keeps_nothing_of_the_trial(each_book: Book) -> None:
    each_book.webhook("https://receiver.example/")
    assert writable_check.error_of_attempts(each_book.engine, 100_000) is None
    each_book.publish()
    assert writable_check.error_of_attempts(each_book.engine, 100_000) is None
    assert each_book.attempts() == []


@SERVERS
def test_a_pass_of_another_host_that_runs_is_no_reason_for_a_trial(
    each_app: Flask, each_book: Book, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("guestbook.lib.ids.host_name", lambda: "another")
        whole_pass.begin_record(each_book.engine)
    monkeypatch.setattr(writable_check, "error_of_attempts", lambda *_: 1 / 0)
    each_book.webhook(receiver.url())
    each_book.publish()
    assert cron(each_app) == (0, "")
    whole_pass.begin_record(each_book.engine)
    with pytest.raises(ZeroDivisionError):
        whole_pass.require_room(each_book.engine)


@SERVERS
def test_the_end_of_a_pass_is_stored_after_a_failover(each_book: Book) -> None:
    """The connections from before it lead to a server that only reads by now."""
    pass_id = whole_pass.begin_record(each_book.engine)
    with each_book.engine.connect() as connection:
        connection.exec_driver_sql(READS_ONLY[connection.dialect.name])
        connection.commit()
    whole_pass.finish(each_book.engine, each_book.settings, pass_id, Tally(processed=3))
    (row,) = each_book.passes()
    assert (row.finished_at is not None, row.processed) == (True, 3)
