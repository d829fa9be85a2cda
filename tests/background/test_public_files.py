"""The public pages as files: each is as the program would answer it, or is missing."""

import logging
import random
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Thread

import html5lib
import pytest
from flask import Flask

from guestbook.background import public_files
from guestbook.background.doctor import examination
from guestbook.comments import comment_actions
from tests.conftest import running
from tests.support import factories, small_disk
from tests.support.owner import Owner
from tests.support.visitor import GREETING, Visitor, by_class, fields, let_write, messages, parse, set_

OLDER = re.compile(r'href="/\?before=([0-9a-f]+)"')


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "public" / "pages"


@pytest.fixture
def app(environ: dict[str, str], folder: Path) -> Iterator[Flask]:
    with running({**environ, "GUESTBOOK_PUBLIC_FOLDER": str(folder)}) as app:
        set_(per_page="2", visitor_languages="no")
        public_files.remove_stale(app)
        fill(app)
        yield app


@pytest.fixture
def each_app(each_environ: dict[str, str], folder: Path) -> Iterator[Flask]:
    with running({**each_environ, "GUESTBOOK_PUBLIC_FOLDER": str(folder)}) as app:
        set_(per_page="3", visitor_languages="no")
        fill(app)
        yield app


def fill(app: Flask) -> None:
    """Do what passes do until all is written."""
    public_files.remove_stale(app)
    public_files.write(app, 60)
    assert not public_files.is_behind(app.config["GUESTBOOK"])


def texts(folder: Path) -> dict[str, str]:
    """All pages and feeds by name, without the link to the owner's language."""
    names = ("*.html", "*.atom", "feed.json")
    there = (path for name in names for path in folder.rglob(name))
    return {path.relative_to(folder).as_posix(): path.read_text() for path in there if "/." not in str(path)}


def has_words(folder: Path, words: str) -> list[str]:
    return [name for name, text in texts(folder).items() if words in text]


def book_in_files(folder: Path, language: str = "en") -> list[str]:
    """The messages of the front page and of all pages that it leads to, newest first."""
    page, shown = folder / language / "index.html", []
    while True:
        text = page.read_text()
        shown += re.findall(r'<p class="message[^>]*>([^<]*)</p>', text)
        older = OLDER.search(text)
        if older is None:
            return shown
        page = folder / language / "before" / f"{older[1]}.html"


def sign_in_browser(app: Flask, message: str) -> None:
    """Sign as visitors do; the test reads all of the answer."""
    visitor = Visitor(app)
    answer = visitor.open("POST", "/comments", data=visitor.form() | GREETING | {"message": message})
    assert answer.status_code == 303


def published() -> list[str]:
    return [one.message for one in reversed(factories.comments()) if one.status == "published"]


def test_all_that_readers_see_is_there_in_each_language(app: Flask, folder: Path) -> None:
    set_(visitor_languages="yes", language="de")
    comment_id = factories.sign("Hello & welcome", name="Ada")
    fill(app)
    page = (folder / "fr" / "index.html").read_text()
    assert '<html lang="fr"' in page
    assert "Hello &amp; welcome" in page
    assert 'name="token"' not in page
    assert (folder / "default").resolve() == folder / "de"
    names = {name.removeprefix("fr/") for name in texts(folder) if not re.match("(?!fr)../", name)}
    assert names == {
        *("index.html", "privacy.html", f"comments/{comment_id}.html"),
        *("feed.atom", "feed.json", f"comments/{comment_id}.atom"),
    }
    assert (folder / "static/book.css").read_bytes() == (
        Path(app.static_folder or "") / "book.css"
    ).read_bytes()
    head = page.partition("<title>")[0]
    assert "default-src &#39;none&#39;" in head
    assert "frame-ancestors" not in head


def test_after_any_changes_the_files_are_as_if_all_were_written_anew(each_app: Flask, folder: Path) -> None:
    chance, known = random.Random(7), [factories.sign(f"Words 0.{number}") for number in range(9)]
    for step in range(1, 28):
        known.append(factories.sign(f"Words {step}"))
        comment_id = chance.choice(known)
        status = chance.choice(["published", "published", "held", "trash", "spam"])
        if step % 9 == 0:
            factories.change(comment_id, comment_actions.delete)
            known.remove(comment_id)
        elif step % 4 == 0:
            factories.change(comment_id, comment_actions.reply, f"Answer {step}")
        else:
            factories.change(comment_id, comment_actions.move, status)
        if step % 3:
            continue  # Several changes come at once.
        fill(each_app)
        assert book_in_files(folder) == published()
    now = texts(folder)
    public_files.forget(each_app.config["GUESTBOOK"])
    fill(each_app)
    anew = texts(folder)
    assert now == now | anew
    assert {name.split("/")[1] for name in now.keys() - anew.keys()} <= {"before"}
    for name in now.keys() - anew.keys():  # Nothing leads there now, and still it is right.
        answer = Visitor(each_app).get(f"/?before={Path(name).stem}")
        assert set(messages(parse(answer))[:1]) <= set(published())


@pytest.mark.parametrize("action", ["hold", "spam", "trash", "delete", "edit", "reply"])
def test_words_leave_all_files_before_the_answer_is_sent(app: Flask, folder: Path, action: str) -> None:
    set_(visitor_languages="yes")
    comment_id = factories.sign("Erase me")
    factories.change(comment_id, comment_actions.reply, "Unsaid")
    [factories.sign("Later") for _ in range(5)]
    fill(app)
    gone = "Unsaid" if action == "reply" else "Erase me"
    assert len(has_words(folder, gone)) > 24
    owner = Owner(app).be_logged_in()
    url = f"/admin/comments/{comment_id}" + ("" if action == "edit" else f"/{action}")
    sent = {"name": "Ada", "message": "Other", "reply": "", "mark": ""}
    sent["csrf_token"] = owner.key(f"/admin/comments/{comment_id}")
    with closing(owner.client.post(url, data=sent)) as answer:
        assert answer.status_code == 303, answer.text
        assert has_words(folder, gone) == []
    assert has_words(folder, gone) == []
    assert book_in_files(folder, "fr") == published()


def test_a_signature_is_in_the_files_once_its_answer_is_sent(app: Flask, folder: Path) -> None:
    sign_in_browser(app, "Here I am")
    assert "en/index.html" in has_words(folder, "Here I am")
    assert "feed.json" in has_words(folder, "Here I am")


def test_a_signature_writes_only_what_changes(app: Flask, folder: Path) -> None:
    [factories.sign(f"Words {number}") for number in range(21)]
    fill(app)
    before = {path: path.stat().st_ino for path in folder.rglob("*.*")}
    sign_in_browser(app, "One more")
    changed = {one.name for one, inode in before.items() if one.exists() and one.stat().st_ino != inode}
    assert changed == {"index.html", "feed.atom", "feed.json"}
    assert len(list(folder.rglob("*.*"))) - len(before) <= 3  # its page and feed, and a page of the list


def test_a_form_in_a_file_shows_the_comment_and_asks_for_one_click(app: Flask, folder: Path) -> None:
    visitor = Visitor(app)
    page = (folder / "en/index.html").read_bytes()
    form = fields(html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(page))
    shown = visitor.send(form | GREETING | {"message": "From a file http://ada.example"})
    assert shown.status_code == 200
    assert factories.comments() == []
    assert len(by_class(parse(shown), "preview")) == 1
    signed = visitor.send(fields(parse(shown)))
    assert (signed.status_code, [one.status for one in factories.comments()]) == (303, ["published"])
    assert "/?signed=" in signed.location
    assert "From a file" in visitor.get(signed.location).text


def test_a_kill_between_the_commit_and_the_files_is_repaired_by_the_next_pass(
    app: Flask, folder: Path
) -> None:
    factories.sign("Kept")
    assert has_words(folder, "Kept") == []  # The process was killed here.
    result = app.test_cli_runner().invoke(args=["cron"])
    assert (result.exit_code, result.output) == (0, "")
    assert book_in_files(folder) == ["Kept"]


def test_changed_settings_remove_all_at_once_and_passes_write_the_rest(app: Flask, folder: Path) -> None:
    [factories.sign(f"Words {number}") for number in range(30)]
    fill(app)
    many = len(texts(folder))
    set_(title="Another book")
    public_files.remove_stale(app)
    assert texts(folder) == {}
    public_files.write(app)
    assert 0 < len(texts(folder)) < many
    assert public_files.is_behind(app.config["GUESTBOOK"])
    assert app.test_cli_runner().invoke(args=["cron"]).exit_code == 0
    assert book_in_files(folder) == published()
    assert has_words(folder, "<title>Guestbook") == []
    assert list(folder.glob(".old-*")) == []


@pytest.mark.usefixtures("app")
def test_another_time_to_keep_rows_changes_the_page_about_privacy(
    folder: Path, environ: dict[str, str]
) -> None:
    kept = {"GUESTBOOK_PUBLIC_FOLDER": str(folder), "GUESTBOOK_KEEP_SPAM_DAYS": "77"}
    assert not has_words(folder, "77 days")
    with running({**environ, **kept}) as other:
        fill(other)
    assert has_words(folder, "77 days") == ["en/privacy.html"]


def test_a_file_has_nothing_of_the_visitor_whose_request_wrote_it(app: Flask, folder: Path) -> None:
    set_(visitor_looks="yes")
    visitor = Visitor(app)
    visitor.open("POST", "/look", data={"look": "terminal"})
    for message, moderation in (("Not yet", "all"), ("Seen by all", "off")):
        set_(moderation=moderation)
        signed = visitor.open("POST", "/comments", data=visitor.form() | GREETING | {"message": message})
        own = visitor.get(signed.location).text
    assert "look-terminal" in own
    assert [one.status for one in factories.comments()] == ["held", "published"]
    assert "en/index.html" in has_words(folder, "Seen by all")
    for private in ("Not yet", "look-terminal", "/edit"):
        assert has_words(folder, private) == []


def test_writers_at_the_same_time_leave_the_newest_state(app: Flask, folder: Path) -> None:
    let_write()

    def sign(name: str) -> None:
        for number in range(6):
            sign_in_browser(app, f"{name} {number}")

    threads = [Thread(target=sign, args=(name,)) for name in ("One", "Two", "Three")]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(published()) == 18
    assert book_in_files(folder) == published()


@pytest.mark.parametrize("fault", ["file", "foreign"])
def test_a_folder_that_cannot_be_written_costs_no_comment_and_doctor_says_so(
    environ: dict[str, str], folder: Path, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder.parent.mkdir()
    if fault == "file":
        folder.write_text("not a folder")
    else:
        folder.mkdir()
        (folder / "thesis.txt").write_text("the owner's")
    with (
        running({**environ, "GUESTBOOK_PUBLIC_FOLDER": str(folder)}) as app,
        caplog.at_level(logging.WARNING),
    ):
        assert Visitor(app).sign().status_code == 303
        assert len(factories.comments()) == 1
        assert f"The pages in {folder} are not right" in caplog.text
        factories.sql(
            "UPDATE book_state SET name = 'page:01900000000070008000000000000000' WHERE name LIKE 'page:_%'"
        )
        findings = [
            one for one in examination.examine(app.config["GUESTBOOK"]) if one.subject == "public folder"
        ]
        assert [one.state.value for one in findings] == ["problem"]
    assert fault == "file" or [one.name for one in folder.iterdir()] == ["thesis.txt"]


def test_an_import_and_a_restored_backup_reach_the_files(app: Flask, folder: Path, tmp_path: Path) -> None:
    factories.sign("Before")
    fill(app)
    shell = app.test_cli_runner()
    assert shell.invoke(args=["backup", str(tmp_path / "kept.zip")]).exit_code == 0
    (tmp_path / "more.csv").write_text("name,message,created_at\nBo,Imported,2026-01-02T10:00:00Z\n")
    assert shell.invoke(args=["comments", "import", str(tmp_path / "more.csv")]).exit_code == 0
    fill(app)
    assert book_in_files(folder) == ["Before", "Imported"]
    done = shell.invoke(args=["restore", str(tmp_path / "kept.zip"), "--yes"])
    assert done.exit_code == 0, done.output
    assert has_words(folder, "Imported") == []


@pytest.mark.skipif(not small_disk.can_be_mounted(), reason="needs a disk of its own")
def test_a_full_disk_keeps_no_words_and_costs_no_comment(
    environ: dict[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "disk" / "pages"
    with (
        small_disk.small_disk(folder.parent) as disk,
        running({**environ, "GUESTBOOK_PUBLIC_FOLDER": str(folder)}) as app,
        caplog.at_level(logging.WARNING),
    ):
        set_(visitor_languages="no")
        comment_id = factories.sign("Erase me")
        fill(app)
        assert "en/index.html" in has_words(folder, "Erase me")
        disk.fill()
        Owner(app).be_logged_in().post(f"/admin/comments/{comment_id}/trash")
        assert has_words(folder, "Erase me") == []
        disk.fill()
        sign_in_browser(app, "On a full disk")
        assert published() == ["On a full disk"]
        assert "No space left on device" in caplog.text
        disk.free()
        fill(app)
        assert book_in_files(folder) == ["On a full disk"]
