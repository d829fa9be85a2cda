"""A record of the log as one line of JSON."""

import json
import logging
import sys

from guestbook.lib.json_log import JsonFormatter


def formatted(**values: object) -> str:
    record = logging.makeLogRecord({"name": "guestbook.x", "levelno": 30, "levelname": "WARNING", **values})
    return JsonFormatter().format(record)


def test_it_has_time_level_logger_and_message() -> None:
    line = formatted(msg="%d of %s", args=(2, "Chat"), created=1769903999.123)
    assert json.loads(line) == {
        "time": "2026-01-31T23:59:59.123Z",
        "level": "warning",
        "logger": "guestbook.x",
        "message": "2 of Chat",
    }


def test_extra_fields_are_added_whatever_their_type() -> None:
    line = json.loads(formatted(msg="x", delivery_id="d1", attempt=2, error=ValueError("bad")))
    assert (line["delivery_id"], line["attempt"], line["error"]) == ("d1", 2, "bad")


def test_hostile_text_and_a_traceback_stay_in_one_line_of_ascii() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        line = formatted(msg="a\n\x1b[31m\u202eb", exc_info=sys.exc_info())
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["message"] == "a\n\x1b[31m\u202eb"
    assert json.loads(line)["traceback"].startswith("Traceback")
