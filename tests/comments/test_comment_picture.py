"""A name has one picture in a book, which tells nobody what the name is."""

import pytest

from guestbook.comments import comment_form
from guestbook.lib.drawn_face import FACE_ID
from guestbook.storage.preferences import Preferences

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


@pytest.mark.parametrize(
    "name", ["\x00", "\ud800", "\u202eada", "../../x", "<svg>", "x" * 100_000, "\u0301" * 9]
)
def test_any_name_has_an_id_of_16_digits(name: str) -> None:
    assert FACE_ID.fullmatch(comment_form.picture_id_of(name, KEY))


def test_the_owner_chooses_what_it_is() -> None:
    assert comment_form.picture_of("Ada", Preferences(), KEY) is None
    drawn = comment_form.picture_of("Ada", DRAWN, KEY)
    assert drawn == (comment_form.picture_id_of("Ada", KEY), None)
    glyph = comment_form.picture_of("Ada", GLYPHS, KEY)
    assert glyph == comment_form.picture_of(" ADA", GLYPHS, KEY)
    assert glyph is not None
    assert glyph.glyph in GLYPHS.glyphs.split()


def test_all_characters_of_the_owner_are_used() -> None:
    made = [comment_form.picture_of(f"Visitor {number}", GLYPHS, KEY) for number in range(60)]
    assert {one.glyph for one in made if one} == set(GLYPHS.glyphs.split())


def test_a_list_that_somebody_emptied_by_hand_gives_no_picture() -> None:
    assert comment_form.picture_of("Ada", Preferences(pictures="glyphs"), KEY) is None
