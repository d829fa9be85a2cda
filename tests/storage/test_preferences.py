"""The settings of the book: what holds at the start, what is refused, what a garbled row does."""

import pytest

from guestbook.lib.errors import Refused
from guestbook.storage import database, preferences
from guestbook.storage.database import db
from guestbook.storage.models import Setting
from guestbook.storage.preferences import Preferences
from tests.support import factories


def save(**changes: str) -> None:
    factories.written(lambda session: preferences.save(session, changes))


def read() -> Preferences:
    db.session.rollback()
    return preferences.read(db.session())


@pytest.mark.usefixtures("each_app")
def test_what_is_saved_is_read_and_the_rest_is_as_at_the_start() -> None:
    assert read() == Preferences()
    save(title="Größe 💌", closed="yes", per_page="7")
    save(title="Other")
    assert read() == Preferences(title="Other", closed=True, per_page=7)


@pytest.mark.usefixtures("app")
def test_a_form_that_is_sent_back_unchanged_changes_nothing() -> None:
    save(welcome="One\nTwo", moderation="all", closed="yes", theme="dark", rate="5")
    before = read()
    save(**preferences.typed(before))
    assert read() == before


WRONG = {
    "title": ("", " \u200b\n", "x" * 81),
    "welcome": ("x" * 1001,),
    "prompt": ("x" * 1001,),
    "contact": (
        "ada",
        "http://book.example/",
        "javascript:alert(1)",
        "a@b.example\nEncryption: x",
        "https://",
    ),
    "per_page": ("0", "101", "-1", "1e3", "٣", "9" * 5000),
    "rate": ("0", "10001"),
    "moderation": ("", "some"),
    "theme": ("pink",),
    "closed": ("true",),
}


@pytest.mark.usefixtures("app")
def test_what_is_wrong_is_refused_with_its_field_and_nothing_is_set() -> None:
    for name, value in ((name, value) for name, values in WRONG.items() for value in values):
        with pytest.raises(Refused) as refused:
            save(**{"title": "Fine", "welcome": "Fine", "flood": "x", name: value})
        assert set(refused.value.fields) == {name, "flood"}, value
        assert refused.value.fields[name].endswith(".")
        assert read() == Preferences()


@pytest.mark.usefixtures("app")
def test_text_is_cleaned_as_a_visitors_is() -> None:
    save(title=" A \u202eb\n c ", welcome="\ud800One\r\n\x00Two ")
    assert (read().title, read().welcome) == ("A b c", "One\nTwo")


@pytest.mark.usefixtures("app")
def test_a_row_that_somebody_garbled_is_as_at_the_start() -> None:
    with database.writing() as session:
        for name, value in (("per_page", "many"), ("theme", "\x1b"), ("closed", ""), ("title", "Mine")):
            session.add(Setting(name=name, value=value))
    assert read() == Preferences(title="Mine")
