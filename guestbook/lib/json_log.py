"""Log records as JSON, one object a line, for log collectors."""

import json
import logging
from datetime import UTC, datetime

from guestbook.lib import clock

RAISING_LOGGERS = ("sqlalchemy.pool", "psycopg")  # they log a lost connection besides raising it
STANDARD_FIELDS = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """Writes time, level, logger and message, then the `extra` fields of the call and any traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line. It is ASCII, so no terminal obeys it and no line break splits it."""
        fields: dict[str, object] = {
            "time": clock.to_text(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields |= {name: value for name, value in vars(record).items() if name not in STANDARD_FIELDS}
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str)
