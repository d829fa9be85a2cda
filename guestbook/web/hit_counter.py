"""The hit counter: how often browsers have opened the front page. It needs no cookie and keeps no address.

docs/reference/looks.md says which views count.
"""

import logging
import re
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from flask import Flask, Response, after_this_request, current_app, request
from markupsafe import Markup

from guestbook.settings import Settings
from guestbook.storage import seen_facts
from guestbook.web import request_context, template_filters

DIGITS = 6  # at least, as on an odometer
# Robots that say what they are have one of these in their name, mostly with an address about themselves.
ROBOT = re.compile(r"bot|crawl|spider|slurp|preview|monitor|headless|://", re.IGNORECASE)
BROWSER = "Mozilla/"  # every browser's name begins with it
HITS_EXTENSION = "guestbook hits"

log = logging.getLogger(__name__)


def init_app(app: Flask, add: Callable[[int], None]) -> None:
    """Let `add` bring the views of a full batch to the database."""
    app.extensions[HITS_EXTENSION] = add


def view() -> int:
    """Count this view if a person seems to look, and return the number with it."""
    data_dir, saved = request_context.settings().data_dir, seen_facts.saved_hits(request_context.select())
    if not _is_by_person():
        return saved + seen_facts.pending_hits(data_dir)
    with suppress(OSError):  # on a full disk the book is still read
        pending = seen_facts.note_hit(data_dir)
        if pending >= seen_facts.HITS_BATCH:
            after_this_request(_save_when_sent)
        return saved + pending
    return saved


def odometer(number: int) -> Markup:
    """Return the number as the digits of an odometer, which screen readers read as one number."""
    digits = Markup("").join(Markup("<i>{}</i>").format(digit) for digit in f"{number:0{DIGITS}}")
    return Markup('<span class="odometer" role="img" aria-label="{}">{}</span>').format(
        template_filters.shown_number(number), digits
    )


def _is_by_person() -> bool:
    name = request.headers.get("User-Agent", "")
    purpose = request.headers.get("Sec-Purpose", "") + request.headers.get("Purpose", "")
    is_browser = name.startswith(BROWSER) and not ROBOT.search(name)
    return request.method == "GET" and is_browser and "prefetch" not in purpose


def _save_when_sent(response: Response) -> Response:
    """Let nobody wait for the database: the server closes the answer when it is sent (PEP 3333)."""
    settings, add = request_context.settings(), current_app.extensions[HITS_EXTENSION]
    response.call_on_close(partial(_save, settings, add))
    return response


def _save(settings: Settings, add: Callable[[int], None]) -> None:
    """Bring the batch to the database; where that fails it goes with the next one. Never raises."""
    number = 0
    try:
        if number := seen_facts.take_hits(settings.data_dir):
            add(number)
    except Exception as error:
        log.info("Views of the book wait for the next batch: %s.", error)
        with suppress(OSError):
            seen_facts.give_back_hits(settings.data_dir, number)
