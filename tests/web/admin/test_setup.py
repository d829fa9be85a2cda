"""The set-up of a new book in the browser: the link, the file with a code, the form, and the tables."""

import re
import stat
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

import guestbook
from guestbook.auth import login, setup_code
from guestbook.lib import clock, ids
from guestbook.settings import Settings
from guestbook.storage import backup, preferences
from guestbook.storage.database import db, writing
from guestbook.storage.models import Comment, Login, Webhook
from guestbook.storage.preferences import MODERATION
from guestbook.web import response_headers
from tests.conftest import close, need_server, running, settings_for
from tests.storage import earlier_books
from tests.support import databases, factories
from tests.support.at_once import at_once
from tests.support.owner import PASSWORD, Owner, turn_second_factor_on
from tests.support.visitor import Visitor, attributes, fields, parse, plain, text

DOOR = "/admin/setup/"
FORM = {"password": PASSWORD, "title": "Ada’s book", "moderation": "all"}
CODE = re.compile("[0-9a-f]{32}")


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    """The same, but nobody has set the address."""
    return {name: value for name, value in environ.items() if name != "GUESTBOOK_BASE_URL"}


@pytest.fixture
def data_dir(environ: dict[str, str]) -> Path:
    return Path(environ["GUESTBOOK_DATA_DIR"])


def new_link(app: Flask) -> str:
    """Make a link, and return its path."""
    with app.app_context():
        link = setup_code.new_link("")
    assert link
    return link


def code_in_file(data_dir: Path) -> str:
    found = CODE.match((data_dir / "setup-code.txt").read_text())
    assert found
    return found[0]


def logs_in(app: Flask, password: str) -> bool:
    visitor = Visitor(app)
    form = visitor.form("/admin/login") | {"password": password}
    return visitor.open("POST", "/admin/login", data=form).status_code == 303


def send(visitor: Visitor, url: str, **typed: str) -> TestResponse:
    """Send the form as a browser at http://localhost would."""
    form = FORM | {"address": "http://localhost"} | typed
    return visitor.open("POST", url, data=form, headers={"Origin": "http://localhost"})


def test_the_link_shows_a_form_and_sets_all_of_it_and_logs_in(app: Flask, data_dir: Path) -> None:
    visitor, link = Visitor(app), new_link(app)
    before = factories.everything()
    page = visitor.page(link)
    assert factories.everything() == before  # A mail scanner opens links too.
    shown = fields(page)
    assert (shown["title"], shown["address"]) == ("Guestbook", "http://localhost")
    assert attributes(page, ".//input[@name='password']")["autocomplete"] == "new-password"
    chosen = [
        one.attrib["value"] for one in page.findall(".//input[@name='moderation']") if "checked" in one.attrib
    ]
    assert chosen == ["suspicious"]

    answer = send(visitor, link)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/welcome/")
    welcome = visitor.page("/admin/welcome/")
    assert "Your book is set up, and you are logged in." in plain(welcome)
    known = factories.read(preferences.read)
    assert (known.title, known.moderation) == ("Ada’s book", "all")
    assert (data_dir / ".env").read_text() == "GUESTBOOK_BASE_URL=http://localhost\n"
    assert stat.S_IMODE((data_dir / ".env").stat().st_mode) == 0o600
    assert logs_in(app, PASSWORD)


def test_nobody_keeps_its_pages_and_no_table_has_the_code(app: Flask) -> None:
    link = new_link(app)
    code = link.rpartition("/")[2]
    assert CODE.fullmatch(code)
    for url in (link, DOOR):
        answer = Visitor(app).get(url)
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert answer.headers["Content-Security-Policy"] == response_headers.ADMIN_CONTENT_POLICY
    assert code not in repr(factories.everything())
    assert ids.of_secret(code) in repr(factories.everything())


def test_a_link_is_good_once_and_then_says_to_log_in(app: Flask) -> None:
    visitor, link = Visitor(app), new_link(app)
    assert send(visitor, link).status_code == 303
    before = factories.everything()
    for answer in (visitor.get(link), send(Visitor(app), link, password="another password")):
        assert answer.status_code == 410
        assert "This code was used" in answer.text
        assert 'href="/admin/login"' in answer.text
    after = factories.everything()
    assert [name for name in before if before[name] != after[name]] == ["limits"]


def test_a_link_ends_after_half_an_hour(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    link, now = new_link(app), clock.now()
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(minutes=29))
    assert Visitor(app).get(link).status_code == 200
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(minutes=31))
    for answer in (Visitor(app).get(link), send(Visitor(app), link)):
        assert answer.status_code == 410
        assert "This code has expired" in answer.text
        assert "admin setup-link" in answer.text


def test_the_third_newer_link_replaces_an_older_one(app: Flask) -> None:
    old, *_, new = links = [new_link(app) for _ in range(3)]
    assert {Visitor(app).get(link).status_code for link in links} == {200}
    new_link(app)
    answer = Visitor(app).get(old)
    assert (answer.status_code, "Perhaps a newer one was made since." in answer.text) == (403, True)
    assert Visitor(app).get(new).status_code == 200
    with app.app_context(), writing() as session:
        login.set_password(session, PASSWORD)
    assert Visitor(app).get(new).status_code == 410
    with app.app_context():
        assert setup_code.new_link("") is None


def test_who_guesses_codes_must_wait(app: Flask) -> None:
    link, visitor = new_link(app), Visitor(app)
    answers = [visitor.get(f"{DOOR}{number:032x}").status_code for number in range(21)]
    assert answers == [403] * 20 + [429]
    assert visitor.get(link).status_code == 200


@pytest.mark.parametrize("wrong", ["x", "%00", "é", "0" * 5000, "' OR 1=1"])
def test_a_strange_code_opens_nothing(app: Flask, wrong: str) -> None:
    new_link(app)
    for method, path in (("GET", ""), ("POST", ""), ("POST", "/tables"), ("POST", "/restore")):
        assert Visitor(app).open(method, f"{DOOR}{wrong}{path}").status_code == 403
    answer = Visitor(app).open("POST", DOOR, data={"code": wrong})
    assert (answer.status_code, "This code is not right." in answer.text) == (403, True)
    assert Visitor(app).open("POST", DOOR).status_code == 403


def test_what_is_wrong_stands_beside_its_field_and_nothing_is_lost(app: Flask, data_dir: Path) -> None:
    visitor, link = Visitor(app), new_link(app)
    before = factories.everything()
    answer = send(visitor, link, password="short", title=" ", address="example.org", moderation="never")
    assert answer.status_code == 422
    page = parse(answer)
    reasons = {name: text(page.find(f".//*[@id='{name}-reason']")) for name in (*FORM, "address")}
    assert reasons["password"].startswith("The password must have 10 to 1,000 characters")
    assert reasons["title"] == "Please give the book a title."
    assert reasons["moderation"] == "Please choose one of these."
    assert reasons["address"].startswith("This is not an address for the book: it must be an address like")
    assert fields(page)["address"] == "example.org"
    assert factories.everything() == before
    assert not (data_dir / ".env").exists()
    assert send(visitor, link).status_code == 303


@pytest.mark.parametrize("before", MODERATION)
def test_the_moderation_that_was_set_before_stays(app: Flask, before: str) -> None:
    factories.written(lambda session: preferences.save(session, {"moderation": before}))
    visitor, link = Visitor(app), new_link(app)
    page = parse(visitor.get(link))
    choices = page.findall(".//input[@name='moderation']")
    offered = [one.attrib["value"] for one in choices]
    [ticked] = [one.attrib["value"] for one in choices if "checked" in one.attrib]
    assert (ticked, "off" in offered) == (before, before == "off")
    assert send(visitor, link, moderation=ticked).status_code == 303
    assert factories.read(lambda session: preferences.read(session).moderation) == before


@pytest.mark.parametrize("other", ["https://book.example/guests/", "http://localhost/guests"])
def test_another_address_than_the_browsers_is_asked_for_twice(app: Flask, data_dir: Path, other: str) -> None:
    visitor, link = Visitor(app), new_link(app)
    answer = send(visitor, link, address=other)
    assert (answer.status_code, "Your browser has opened http://localhost." in answer.text) == (422, True)
    form = fields(parse(answer))
    answer = send(visitor, link, address="https://other.example", sure=form["sure"])
    assert answer.status_code == 422
    form = fields(parse(send(visitor, link, address="https://Book.example:443/guests/")))
    assert send(visitor, link, address=form["address"], sure=form["sure"]).status_code == 303
    assert (data_dir / ".env").read_text() == "GUESTBOOK_BASE_URL=https://book.example/guests\n"


@pytest.mark.parametrize("address", ["http://localhost/$HOME", "http://localhost/'", "http://localhost/\\"])
def test_an_address_that_a_file_of_settings_cannot_hold_is_refused(
    app: Flask, data_dir: Path, address: str
) -> None:
    answer = send(Visitor(app), new_link(app), address=address, sure=address)
    assert (answer.status_code, "set it by hand" in answer.text) == (422, True)
    assert not (data_dir / ".env").exists()


def test_the_next_request_has_the_new_address_and_other_lines_stay(app: Flask, data_dir: Path) -> None:
    (data_dir / ".env").write_text(
        "# mine\nexport GUESTBOOK_BASE_URL='http://old.example'\nGUESTBOOK_TIMEOUT=9\n"
    )
    (data_dir / ".env").chmod(0o640)
    visitor = Visitor(app)
    link = new_link(app)
    assert '<link rel="canonical" href="http://old.example/">' in visitor.get("/").text
    origin = {"Origin": "https://book.example", "Host": "book.example"}
    form = FORM | {"address": "https://book.example", "without_cron": "yes"}
    answer = visitor.open("POST", link, data=form, headers=origin)
    assert answer.status_code == 303
    assert "Secure" in answer.headers["Set-Cookie"]
    assert (data_dir / ".env").read_text() == (
        "# mine\nGUESTBOOK_TIMEOUT=9\nGUESTBOOK_BASE_URL=https://book.example\nGUESTBOOK_SEND_AFTER_REQUESTS=true\n"
    )
    assert stat.S_IMODE((data_dir / ".env").stat().st_mode) == 0o640  # Cron may run as another user.
    assert '<link rel="canonical" href="https://book.example/">' in visitor.get("/").text
    assert visitor.open("GET", "/admin/welcome/", base_url="https://book.example").status_code == 200


def test_a_setting_of_the_environment_is_not_asked_for(environ: dict[str, str], data_dir: Path) -> None:
    with running(environ | {"GUESTBOOK_BASE_URL": "https://book.example"}) as app:
        link = new_link(app)
        page = Visitor(app).page(link)
        assert "address" not in fields(page)
        assert "The address of the book is https://book.example" in plain(page)
        assert send(Visitor(app), link, address="http://evil.example").status_code == 303
        assert not (data_dir / ".env").exists()


def test_of_two_at_once_one_wins(each_app: Flask) -> None:
    link = new_link(each_app)
    passwords = ("the first password", "the second password")
    answers = at_once(each_app, 2, lambda number: send(Visitor(each_app), link, password=passwords[number]))
    assert sorted(answer.status_code for answer in answers) == [303, 410]
    won = next(number for number in (0, 1) if answers[number].status_code == 303)
    assert [logs_in(each_app, password) for password in passwords] == [won == 0, won == 1]
    assert len(factories.rows(Login)) == 2


def test_the_link_does_not_replace_a_password_that_is_just_being_set(
    each_app: Flask, each_environ: dict[str, str]
) -> None:
    folder, link = Path(each_environ["GUESTBOOK_DATA_DIR"]), new_link(each_app)
    Visitor(each_app).get(DOOR)
    with ThreadPoolExecutor(1) as threads, each_app.app_context():
        with writing() as session:
            setup_code.use_up(session, folder, code_in_file(folder))
            later = threads.submit(send, Visitor(each_app), link, password="another password")
            time.sleep(0.5)
            login.set_password(session, PASSWORD)
        assert later.result(timeout=60).status_code == 410
    assert logs_in(each_app, PASSWORD)


# --- without a terminal


@pytest.fixture(params=databases.KINDS)
def bare(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    """A book without tables, in a folder of its own."""
    need_server(request.param)
    folder = tmp_path / "bare"
    folder.mkdir()
    with databases.fresh(request.param, folder) as url:
        environ = settings_for(folder, url)
        del environ["GUESTBOOK_BASE_URL"]
        with kept(guestbook.create_app(environ)) as app:
            yield app


@contextmanager
def kept(app: Flask) -> Iterator[Flask]:
    """Give an app to the factories, and close its connections in the end."""
    factories.books.append(app)
    yield app
    factories.books.remove(app)
    with app.app_context():
        db.session.remove()
    close(app)


def folder_of(app: Flask) -> Path:
    read: Settings = app.config["GUESTBOOK"]
    return read.data_dir


def typed(app: Flask, code: str) -> str:
    """Type a code at the door; return where it leads."""
    answer = Visitor(app).open("POST", DOOR, data={"code": f" {code}\n"})
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"]


def test_from_an_empty_database_to_a_book_by_a_code_that_only_the_folder_shows(bare: Flask) -> None:
    visitor, folder = Visitor(bare), folder_of(bare)
    front = visitor.get("/")
    assert front.status_code == 503
    assert "Its owner can open /admin/ or run this on the server: flask --app guestbook init-db" in front.text
    assert not (folder / "setup-code.txt").exists()
    answer = visitor.get("/admin/")
    assert (answer.status_code, answer.headers["Location"]) == (303, DOOR)
    door = visitor.page(DOOR)
    assert "setup-code.txt" in plain(door)
    assert str(folder) not in plain(door)
    file = folder / "setup-code.txt"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    code = code_in_file(folder)
    visitor.get(DOOR)
    assert code_in_file(folder) == code  # A second look changes nothing.

    page = typed(bare, code)
    assert "The database is empty." in plain(visitor.page(page))
    for other in ("/tables", "/restore"):
        assert visitor.open("POST", f"{DOOR}{'0' * 32}{other}").status_code == 403
    assert visitor.open("POST", f"{page}/tables").headers["Location"] == page
    assert visitor.get("/").status_code == 200
    assert send(visitor, page).headers["Location"] == "/admin/welcome/"
    assert "Your book is set up" in plain(visitor.page("/admin/welcome/"))
    assert [path.name for path in folder.glob("*setup*")] + [
        path.name for path in folder.glob(".setup*")
    ] == []
    assert visitor.get(page).status_code == 410
    assert logs_in(bare, PASSWORD)


def test_a_refused_form_leaves_the_code_of_the_file(app: Flask, data_dir: Path) -> None:
    visitor = Visitor(app)
    assert visitor.get("/admin/login").headers["Location"] == DOOR
    assert visitor.get(DOOR).status_code == 200
    page = f"{DOOR}{code_in_file(data_dir)}"
    assert send(visitor, page, password="short").status_code == 422
    answers = at_once(app, 2, lambda _: send(Visitor(app), page).status_code)
    assert sorted(answers) == [303, 410]


def test_an_ended_code_of_the_file_is_followed_by_another(
    app: Flask, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Visitor(app).get(DOOR)
    old, now = code_in_file(data_dir), clock.now()
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(minutes=31))
    answer = Visitor(app).open("POST", DOOR, data={"code": old})
    assert (answer.status_code, "This code has expired" in answer.text) == (410, True)
    assert code_in_file(data_dir) != old
    assert typed(app, code_in_file(data_dir)).startswith(DOOR)


def test_with_a_password_the_door_is_closed_until_the_owner_puts_an_empty_file_there(
    app: Flask, data_dir: Path
) -> None:
    owner = Owner(app)
    answer = owner.get(DOOR)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/")
    assert not (data_dir / "setup-code.txt").exists()
    (data_dir / "setup-code.txt").touch()
    door = plain(owner.page(DOOR))
    assert "setup-code.txt" in door
    assert "Type flask --app guestbook admin set-password" in door
    assert "setup-link" not in door  # It would make none.
    page = typed(app, code_in_file(data_dir))
    assert send(owner, page, password="another password").status_code == 303
    assert logs_in(app, "another password")
    assert not logs_in(app, PASSWORD)
    assert owner.get(DOOR).status_code == 303


def test_the_second_factor_is_asked_for_all_the_same(app: Flask, data_dir: Path) -> None:
    owner = Owner(app)
    turn_second_factor_on(app)
    (data_dir / "setup-code.txt").touch()
    owner.page(DOOR)
    answer = send(owner, typed(app, code_in_file(data_dir)))
    assert answer.headers["Location"] == "/admin/login"
    assert owner.log_in().headers["Location"] == "/admin/login/code"


def test_a_folder_that_cannot_be_written_has_no_code_and_the_page_still_helps(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(setup_code.files, "replace_file", full)
    assert "admin setup-link" in plain(Visitor(app).page(DOOR))
    link = new_link(app)
    answer = send(Visitor(app), link)
    assert (answer.status_code, "No space left on device" in answer.text) == (422, True)
    monkeypatch.undo()
    assert send(Visitor(app), link).status_code == 303


@pytest.fixture(params=databases.KINDS)
def older(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    """A book of the first version that is upgraded, with a row in each table."""
    need_server(request.param)
    folder = tmp_path / "older"
    folder.mkdir()
    with (
        earlier_books.earlier(request.param, folder) as url,
        kept(guestbook.create_app(settings_for(folder, url))) as app,
    ):
        yield app


def test_older_tables_are_upgraded_with_a_backup_of_before(older: Flask) -> None:
    visitor, folder = Visitor(older), folder_of(older)
    assert visitor.get("/admin/").headers["Location"] == DOOR
    assert "With a terminal you need no code. Type flask --app guestbook upgrade" in plain(visitor.page(DOOR))
    page = typed(older, code_in_file(folder))
    assert "The tables are older than the program" in plain(visitor.page(page))
    assert send(visitor, page).headers["Location"] == page  # There is no form yet.
    assert visitor.open("POST", f"{page}/tables").headers["Location"] == page
    [copy] = (folder / "backups").iterdir()
    assert backup.is_backup(copy)
    assert "Zoë" in repr(factories.everything()["comments"])
    shown = fields(visitor.page(page))
    assert shown["title"] == "Our book"
    assert send(visitor, page, title="Our book").status_code == 303
    assert visitor.get("/").status_code == 200


def test_on_a_server_older_tables_are_upgraded_before_a_backup_is_restored(older: Flask) -> None:
    visitor, folder = Visitor(older), folder_of(older)
    visitor.get(DOOR)
    page = typed(older, code_in_file(folder))
    backup.write(older.config["GUESTBOOK"], folder / "book.db")
    assert ("Go back to a backup" in visitor.get(page).text) == older.config["GUESTBOOK"].on_sqlite
    assert visitor.open("POST", f"{page}/tables").status_code == 303
    assert "Restore a backup instead" in visitor.get(page).text


def test_a_backup_is_restored_and_its_password_counts(bare: Flask, app: Flask) -> None:
    """The backup of one book goes to another, which has no tables."""
    Owner(app)
    factories.written(
        lambda session: session.add(Comment(name="Ada", message="From elsewhere", status="published"))
    )
    factories.webhook()
    read: Settings = app.config["GUESTBOOK"]
    folder = folder_of(bare)
    backup.write(read, folder / "book.db")
    (folder / "other.db").write_bytes(b"SQLite format 3\0" + bytes(100))
    visitor = Visitor(bare)
    visitor.get(DOOR)
    page = typed(bare, code_in_file(folder))
    names = [one.attrib["value"] for one in visitor.page(page).findall(".//input[@name='backup']")]
    assert names == ["book.db"]
    for wrong in ("", "../book.db", "other.db", "guestbook.db"):
        answer = visitor.open("POST", f"{page}/restore", data={"backup": wrong})
        assert (answer.status_code, "Choose one of the backups." in answer.text) == (422, True)
    answer = visitor.open("POST", f"{page}/restore", data={"backup": "book.db", "hold": "yes"})
    assert answer.headers["Location"] == "/admin/login"
    assert "Your book is ready. Log in with its password." in visitor.get("/admin/login").text
    assert not (folder / "setup-code.txt").exists()
    assert "From elsewhere" in visitor.get("/").text
    assert logs_in(bare, PASSWORD)
    with bare.app_context():
        assert db.session.scalars(select(Webhook.disabled_reason)).all() == ["by_hand"]


def test_a_restore_without_a_choice_shows_its_form_with_the_reason(app: Flask, data_dir: Path) -> None:
    visitor, link = Visitor(app), new_link(app)
    backup.write(app.config["GUESTBOOK"], data_dir / "book.db")
    assert visitor.page(link).find(".//details[@open]") is None
    answer = visitor.open("POST", f"{link}/restore")
    assert answer.status_code == 422
    opened = parse(answer).find(".//details[@open]")
    assert "Choose one of the backups." in plain(opened)


def test_a_damaged_backup_is_refused_with_a_sentence(app: Flask, data_dir: Path) -> None:
    visitor, link = Visitor(app), new_link(app)
    copy = backup.write(app.config["GUESTBOOK"], data_dir / "book.db").path
    content = bytearray(copy.read_bytes())
    content[-4096:] = b"x" * 4096
    copy.write_bytes(content)
    answer = visitor.open("POST", f"{link}/restore", data={"backup": "book.db"})
    assert (answer.status_code, "book.db" in answer.text) == (422, True)
    assert send(visitor, link).status_code == 303
