"""What Celery loads: celery --app guestbook.worker worker --pool threads --concurrency 32."""

import logging
import threading
import time
from collections.abc import Callable
from functools import cache
from typing import Any

from celery.exceptions import Reject
from celery.signals import (
    after_setup_logger,
    celeryd_after_setup,
    celeryd_init,
    worker_process_shutdown,
    worker_shutdown,
    worker_shutting_down,
)
from flask import Flask
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from guestbook.background.celery.delivery_consumer import DeliveryConsumer, WorkerEnds
from guestbook.background.celery.messages import DELIVER, PROCESS, celery_app, handovers
from guestbook.inbound.event_processor import Processor
from guestbook.lib.current_process import StopFlag
from guestbook.lib.errors import Refused
from guestbook.lib.json_log import JsonFormatter
from guestbook.settings import Settings
from guestbook.storage import app_factory, database, engines, hosts_sharing_sqlite
from guestbook.storage.database import db
from guestbook.storage.database_errors import Fault, SecondHost, WrongVersion
from guestbook.storage.hosts_sharing_sqlite import HostNote

WITHOUT_BROKER = "Error: GUESTBOOK_BROKER_URL is not set, so the worker has no broker to take work from."

# They log a lost broker with a traceback; the error is in their line too.
LOGGERS_OF_CONNECTION = ("celery.worker.loops", "celery.worker.request")
WAIT_BEFORE_RETURN = 2.0  # seconds, before a message goes back to its queue and comes again at once
WRONG_VERSION = {
    Fault.OLD_TABLES: "Error: The tables are older than the program. Run upgrade, then start it again.",
    Fault.TOO_OLD: f"Error: {Fault.TOO_OLD.value}.",
    Fault.NEW_TABLES: "Error: The tables are newer than the program. Update the program.",
}

_flask = app_factory.make(Flask)
_settings: Settings = _flask.config["GUESTBOOK"]
if not _settings.broker_url:
    raise SystemExit(WITHOUT_BROKER)
_host = HostNote(_settings, hosts_sharing_sqlite.PASS)
app = celery_app(_settings.broker_url)
log = logging.getLogger(__name__)
_first_use = threading.Lock()
_stop = StopFlag()


def deliver(delivery_ids: object, token: object) -> None:
    """Send the deliveries of a message."""
    if rows := handovers(delivery_ids, token):
        _or_later(_delivery_consumer, lambda consumer: consumer.deliver(rows))


def process(event_id: object, token: object) -> None:
    """Process one inbound event."""
    if rows := handovers(event_id, token):
        _or_later(_inbox, lambda inbox: inbox.work_on(*rows[0]))


def _or_later(make: Callable[[], Any], work: Callable[[Any], object]) -> None:
    """Do the work, or return the message to its queue while the database cannot be used."""
    try:
        _host.keep()
        with _first_use:  # All threads share it. Its limits count for all, so no second one is made.
            shared = make()
        work(shared)
        return
    except WorkerEnds:
        raise Reject("another worker gets it", requeue=True) from None
    except WrongVersion as error:
        log.error("%s. A message goes back to its queue.", error)
    except (Refused, SecondHost) as error:
        log.error("A message goes back to its queue. %s", error)
    except SQLAlchemyError as error:  # No driver says that all connections are busy.
        if not database.is_away(error):
            raise
        log.error("%s A message goes back to its queue.", _away(error))
    time.sleep(WAIT_BEFORE_RETURN)
    raise Reject("it comes again", requeue=True)


def _is_no_return(record: logging.LogRecord) -> bool:
    """Leave out what Celery logs of each message that goes back: a traceback, after our line."""
    data = getattr(record, "data", None)
    return not (isinstance(data, dict) and data.get("description") == "rejected")


def _without_traceback(record: logging.LogRecord) -> bool:
    """Let a log line go out without its traceback."""
    record.exc_info = None
    return True


@cache
def _delivery_consumer() -> DeliveryConsumer:
    """Make what a process needs at its first message: a forked one must not share a connection."""
    with _flask.app_context():
        database.require_version(db.engine)
        return DeliveryConsumer(db.engine, _settings, app.conf.worker_concurrency or 1, _stop)


@cache
def _inbox() -> Processor:
    with _flask.app_context():
        database.require_version(db.engine)
        return Processor(db.engine, _settings)


def _check_book(**_: Any) -> None:
    """Refuse to start on tables of another version, and beside another host that uses the same SQLite file.

    If the database cannot be used, a message looks later.
    """
    try:
        _host.keep()
        with engines.opened(_settings, engines.FOR_PASSES) as engine:  # It is closed before processes fork.
            database.require_version(engine)
    except Refused as error:
        raise SystemExit(f"Error: {error}") from None
    except WrongVersion as error:
        raise SystemExit(WRONG_VERSION[error.fault]) from None
    except DBAPIError as error:
        log.error("%s", _away(error))


def _away(error: SQLAlchemyError) -> str:
    return f"The database cannot be used now ({type(getattr(error, 'orig', error)).__name__})."


def _note_size(instance: Any, **_: Any) -> None:
    app.conf.worker_concurrency = instance.concurrency


def _finish(**_: Any) -> None:
    if _delivery_consumer.cache_info().currsize:
        _delivery_consumer().finish()


def _log_as_json(logger: logging.Logger, **_: Any) -> None:
    for handler in logger.handlers:
        handler.setFormatter(JsonFormatter())


logging.getLogger("celery.app.trace").addFilter(_is_no_return)
for _name in LOGGERS_OF_CONNECTION:
    logging.getLogger(_name).addFilter(_without_traceback)
app.task(deliver, name=DELIVER)
app.task(process, name=PROCESS)
celeryd_init.connect(_check_book)
celeryd_after_setup.connect(_note_size)
worker_shutting_down.connect(lambda **_: _stop.set(), weak=False)
worker_shutdown.connect(_finish)
worker_process_shutdown.connect(_finish)
if _settings.log_format == "json":
    after_setup_logger.connect(_log_as_json)
