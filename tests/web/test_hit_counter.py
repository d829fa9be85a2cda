"""The hit counter of the look 1999: browsers are counted, robots are not, and nobody gets a cookie."""

from pathlib import Path

import pytest
from flask import Flask

from guestbook.storage import hits_and_notes
from guestbook.storage.database import db
from guestbook.storage.plain_sql import through
from guestbook.web import cgi_app, public_pages
from tests.conftest import running, settings_for
from tests.support.visitor import Visitor, by_class, parse, set_

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def counting(app: Flask) -> Flask:
    set_(look="1999")
    return app


def data_dir(app: Flask) -> Path:
    return app.config["GUESTBOOK"].data_dir


def counted(app: Flask) -> int:
    with app.app_context():
        return hits_and_notes.saved_hits(through(db.session())) + hits_and_notes.pending_hits(data_dir(app))


def shown(app: Flask, name: str = FIREFOX) -> str:
    answer = Visitor(app).get("/", headers={"User-Agent": name})
    assert "Set-Cookie" not in answer.headers
    [odometer] = by_class(parse(answer), "odometer")
    return odometer.attrib["aria-label"]


def test_each_view_moves_the_odometer_and_batches_go_to_the_database(counting: Flask) -> None:
    numbers = [shown(counting) for _ in range(45)]
    assert numbers == [str(number) for number in range(1, 46)]
    with counting.app_context():
        assert hits_and_notes.saved_hits(through(db.session())) == 40
    assert hits_and_notes.pending_hits(data_dir(counting)) == 5


@pytest.mark.parametrize(
    "name",
    [
        "",
        "curl/8.5.0",
        "python-requests/2.32",
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Mozilla/5.0 (compatible; Searcher; +https://searcher.example)",
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/140.0 Safari/537.36",
    ],
)
def test_robots_see_the_number_and_do_not_move_it(counting: Flask, name: str) -> None:
    shown(counting)
    assert shown(counting, name) == "1"
    assert counted(counting) == 1


def test_only_a_look_at_the_front_page_counts(counting: Flask) -> None:
    visitor = Visitor(counting)
    browser = {"User-Agent": FIREFOX}
    visitor.open("HEAD", "/", headers=browser)
    for url in ("/nowhere", "/?before=" + "f" * 32, "/button.svg", "/static/book.css"):
        visitor.get(url, headers=browser)
    for purpose in ({"Sec-Purpose": "prefetch;prerender"}, {"Purpose": "prefetch"}):
        visitor.get("/", headers=browser | purpose)
    assert counted(counting) == 0
    visitor.get("/", headers=browser)
    assert counted(counting) == 1


def test_nothing_is_counted_where_nobody_can_see_it(app: Flask) -> None:
    Visitor(app).get("/", headers={"User-Agent": FIREFOX})
    assert not (data_dir(app) / hits_and_notes.PENDING_FILE).exists()
    set_(visitor_looks="yes")
    page = Visitor(app).get("/", headers={"User-Agent": FIREFOX})
    assert by_class(parse(page), "odometer") == []
    assert counted(app) == 1


def test_the_number_alone_does_not_make_the_page_new_but_the_view_counts(counting: Flask) -> None:
    visitor = Visitor(counting)
    etag = visitor.get("/", headers={"User-Agent": FIREFOX}).headers["ETag"]
    for _ in range(hits_and_notes.HITS_BATCH):  # one of these saves the batch after an answer without a body
        again = visitor.get("/", headers={"User-Agent": FIREFOX, "If-None-Match": etag})
        assert (again.status_code, again.data) == (304, b"")
    assert counted(counting) == hits_and_notes.HITS_BATCH + 1
    assert hits_and_notes.pending_hits(data_dir(counting)) == 1


def test_a_book_that_cannot_write_is_still_read(counting: Flask) -> None:
    (data_dir(counting) / hits_and_notes.PENDING_FILE).mkdir()
    assert shown(counting).isdigit()


def test_a_busy_database_gets_the_views_later(counting: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_number: int) -> None:
        raise OSError("busy")

    with monkeypatch.context() as patched:
        patched.setitem(counting.extensions, public_pages.HITS_EXTENSION, fail)
        for _ in range(hits_and_notes.HITS_BATCH):
            shown(counting)
    assert hits_and_notes.pending_hits(data_dir(counting)) == hits_and_notes.HITS_BATCH
    assert shown(counting) == str(hits_and_notes.HITS_BATCH + 1)
    assert hits_and_notes.pending_hits(data_dir(counting)) == 0
    assert counted(counting) == hits_and_notes.HITS_BATCH + 1


def test_a_page_by_cgi_counts_in_the_same_batches(tmp_path: Path) -> None:
    environ = settings_for(tmp_path, f"sqlite:///{tmp_path}/guestbook.db")
    with running(environ) as app:
        set_(look="1999")
        for number in range(1, hits_and_notes.HITS_BATCH + 3):
            reader = cgi_app.make(environ, lambda _given: pytest.fail("left to the whole app"))
            assert shown(reader) == str(number)
        assert hits_and_notes.pending_hits(data_dir(app)) == 2
        assert counted(app) == hits_and_notes.HITS_BATCH + 2
        assert shown(app) == str(hits_and_notes.HITS_BATCH + 3)
