"""A draft says what is wrong with each field and keeps what was typed; then answers and pictures of names."""

import pytest
from hypothesis import given, strategies as st

from guestbook.comments import comment_form
from guestbook.storage.comment_fields import COMMENT_FIELDS
from guestbook.storage.preferences import Preferences

GOOD = {"name": "Ada", "website": "", "message": "Hello"}


def test_missing_fields_are_asked_for_in_the_order_of_the_form() -> None:
    missing = {"name": "Please write your name.", "message": "Please write a few words."}
    assert dict(comment_form.read({}).errors) == missing
    assert list(comment_form.read({"website": "?"}).errors) == ["name", "website", "message"]


@pytest.mark.parametrize("name", [name for name in COMMENT_FIELDS if name != "website"])
def test_a_text_is_cleaned_and_what_is_too_long_is_kept_with_its_reason(name: str) -> None:
    field = COMMENT_FIELDS[name]
    longest, too_long = (comment_form.read(GOOD | {name: "x" * (field.limit + n)}) for n in (0, 1))
    assert not longest.errors
    sentence = f"{field.subject} has {field.limit + 1:,} characters. Please use at most {field.limit:,}."
    assert (dict(too_long.errors), too_long.values[name]) == ({name: sentence}, "x" * (field.limit + 1))
    assert (comment_form.read(GOOD | {name: "a\x00 \u202e"}).values[name] or "").strip() == "a"
    assert bool(comment_form.read(GOOD | {name: ""}).errors) == bool(field.missing)


def test_a_name_or_message_that_nobody_can_see_counts_as_missing() -> None:
    assert set(comment_form.read({"name": "\u3164\u200b", "message": "\u2800"}).errors) == {"name", "message"}


def test_the_longest_message_leaves_room_for_a_short_note_alone() -> None:
    longest = GOOD | {"message": "🦋" * 4000}
    assert not comment_form.read(longest | {"note": "🦋" * 20}).errors
    assert "very long" in comment_form.read(longest | {"note": "🦋" * 1000}).errors["note"]
    assert not comment_form.read(GOOD | {"message": "x" * 4000, "note": "🦋" * 1000}).errors


def test_a_line_end_counts_as_one_character_as_it_does_in_the_browser() -> None:
    assert comment_form.read(GOOD | {"message": "x\r\n" * 1999 + "xx"}).errors == {}


COMPLETED = {
    "example.org": "https://example.org",
    "www.example.org/~ada?a=1#b": "https://www.example.org/~ada?a=1#b",
    "//example.org": "https://example.org",
    "example.org:8080/x": "https://example.org:8080/x",
    "HTTP://Example.org": "http://Example.org",
}
AS_TYPED = (
    *("http://localhost:5000/", "http://münchen.example/ä", "https://xn--mnchen-3ya.example./"),
    *("http://192.0.2.7/", "http://[2001:db8::1]:80/", "https://example.org/@ada"),
    "https://under_score.example",
)


@pytest.mark.parametrize(("typed", "linked"), [*COMPLETED.items(), *zip(AS_TYPED, AS_TYPED, strict=True)])
def test_an_address_that_people_type_becomes_a_link(typed: str, linked: str) -> None:
    read = comment_form.read(GOOD | {"website": typed})
    assert (read.website, dict(read.errors)) == (linked, {})


NOT_LINKED = {
    comment_form.NOT_THE_WEB: (
        *("javascript:alert(1)", "JaVaScRiPt:alert(1)//example.org", "javascript://example.org/%0aalert(1)"),
        *("data:text/html,hello.org", "ftp://example.org", "mailto:ada@example.org")),
    comment_form.NOT_MAIL: ("ada@example.org", "https://a.example@evil.example", "https://@evil.example"),
    comment_form.NOT_AN_ADDRESS: (
        *("none", "my page.org", "http://", "http:example.org", "https:///example.org", "https://:443/"),
        *("https://example.org:99999", "https://example.org:x", "https://example..org", "https://-.org"),
        *("https://good.example\\@evil.example", "https://evil%2eexample", "https://[::1", "https://[v1.x]/"),
        *('https://example.org/"onclick="x', "https://example.org/<script>")),
}  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "reason"), [(one, why) for why, some in NOT_LINKED.items() for one in some]
)
def test_an_address_that_must_not_be_linked_is_kept_with_its_reason(typed: str, reason: str) -> None:
    read = comment_form.read(GOOD | {"website": typed})
    assert (read.website, dict(read.errors)) == (typed, {"website": reason})


def test_an_address_may_have_500_characters_with_the_scheme_we_add() -> None:
    assert comment_form.read(GOOD | {"website": "example.org/" + "x" * 480}).errors == {}
    read = comment_form.read(GOOD | {"website": "example.org/" + "x" * 481})
    assert read.errors["website"] == "This address has 501 characters. Please use at most 500."


@given(st.fixed_dictionaries({"name": st.text(), "website": st.text(), "message": st.text()}))
def test_whatever_is_typed_is_read_and_what_has_no_error_fits_the_table(fields: dict[str, str]) -> None:
    read = comment_form.read(fields)
    if not read.errors:
        assert 0 < len(read.name) <= 80
        assert 0 < len(read.message) <= 4000
        assert read.website is None or read.website.startswith(("http://", "https://"))


ACCEPTED = "Ginger\n a  red cat \n\n☺"


@pytest.mark.parametrize("given", ["ginger", " GINGER! ", "A red  cat.", "„ginger“", "☺", "ｇｉｎｇｅｒ"])
def test_in_an_answer_case_spaces_and_signs_do_not_matter(given: str) -> None:
    assert comment_form.is_right_answer(given, ACCEPTED)


@pytest.mark.parametrize("given", ["", " ", "!", "a redcat", "ginger a red cat", "x" * 10**6])
def test_other_answers_are_wrong(given: str) -> None:
    assert not comment_form.is_right_answer(given, ACCEPTED)


KEY = "the secret key of a book"
DRAWN = Preferences(pictures="drawn")
GLYPHS = Preferences(pictures="glyphs", glyphs="🐚 🌊 ⭐")


@pytest.mark.parametrize("same", ["Zoë", " zoë ", "ZOË", "Zoe\u0308", "ZOE\u0308\n"])
def test_the_same_name_has_the_same_picture_however_it_is_typed(same: str) -> None:
    assert comment_form.picture_id_of(same, KEY) == comment_form.picture_id_of("Zoë", KEY)


def test_another_name_or_another_book_has_another_picture() -> None:
    names = ["Zoë", "Zoe", "Zoë H.", "", "Strasse Z", "İ"]
    ids = {comment_form.picture_id_of(name, key) for name in names for key in (KEY, KEY + "x", "")}
    assert len(ids) == 3 * len(names)
    assert comment_form.picture_id_of("STRASSE", KEY) == comment_form.picture_id_of("Straße", KEY)


def test_the_owner_chooses_what_it_is() -> None:
    assert comment_form.picture_of("Ada", Preferences(), KEY) is None
    drawn = comment_form.picture_of("Ada", DRAWN, KEY)
    assert drawn == (comment_form.picture_id_of("Ada", KEY), None)
    glyph = comment_form.picture_of("Ada", GLYPHS, KEY)
    assert glyph == comment_form.picture_of(" ADA", GLYPHS, KEY)
    assert glyph.glyph in GLYPHS.glyphs.split()


def test_a_list_that_somebody_emptied_by_hand_gives_no_picture() -> None:
    assert comment_form.picture_of("Ada", Preferences(pictures="glyphs"), KEY) is None
