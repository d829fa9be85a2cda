"""What Celery loads: celery --app guestbook.worker worker --pool threads --concurrency 32."""

import logging
from functools import cache
from typing import Any

from celery.exceptions import Reject
from celery.signals import after_setup_logger, celeryd_after_setup
from flask import Flask
from sqlalchemy.exc import DBAPIError

from guestbook.background.celery.consumer import Hands
from guestbook.background.celery.messages import DELIVER, PROCESS, celery_app
from guestbook.lib.json_log import JsonFormatter
from guestbook.settings import Settings
from guestbook.storage import configured_app, database
from guestbook.storage.database import db

NO_BROKER = "Error: GUESTBOOK_BROKER_URL is not set, so there is nothing to work for."

_flask = configured_app.make(Flask)
_settings: Settings = _flask.config["GUESTBOOK"]
if not _settings.broker_url:
    raise SystemExit(NO_BROKER)
app = celery_app(_settings.broker_url)
log = logging.getLogger(__name__)


def deliver(delivery_id: object, token: object) -> None:
    """Send one delivery."""
    tally = _or_later(lambda hands: hands.deliver(delivery_id, token))
    for line, fields in tally.log_lines:
        log.info(line, extra=fields)
    for line in tally.disabled:
        log.warning(line)
    if tally.host_limit:
        log.warning("This host limits %s: what could not be sent is tried again.", tally.host_limit)
    if tally.local_error:
        log.error(tally.local_error)


def process(event_id: object, token: object) -> None:
    """Work through one inbound event."""
    _or_later(lambda hands: hands.process(event_id, token))


def _or_later(work: Any) -> Any:
    """Do it; while the database is away the message goes back into the queue."""
    try:
        return work(_hands())
    except DBAPIError as error:
        if not database.is_away(error):
            raise
        log.error("The database cannot be used now (%s).", type(error.orig).__name__)
        raise Reject("the database is away", requeue=True) from error


@cache
def _hands() -> Hands:
    """Make what a process needs when it gets its first message: a forked one shares no connection."""
    with _flask.app_context():
        return Hands(db.engine, _settings, app.conf.worker_concurrency or 1)


def _note_size(instance: Any, **_: Any) -> None:
    app.conf.worker_concurrency = instance.concurrency


def _log_as_json(logger: logging.Logger, **_: Any) -> None:
    for handler in logger.handlers:
        handler.setFormatter(JsonFormatter())


if _settings.log_format == "json":
    after_setup_logger.connect(_log_as_json)
app.task(deliver, name=DELIVER)
app.task(process, name=PROCESS)
celeryd_after_setup.connect(_note_size)
