"""What strangers type is made fit for databases, pages and feeds, and stays legible."""

import time
import unicodedata

import pytest
from hypothesis import given, strategies as st

from guestbook.lib import text
from guestbook.lib.text import clean_line, clean_text

DRAWINGS = (
    r"""   /\_/\
  ( o.o )
   > ^ <""",
    r"""(\(\
( -.-)
o_(")(")""",
    r"""   __  __
  |  \/  |  Mo
  |_|  |_|  was here""",
    "┌────┐\n│ Mo │\n└────┘",
    "   ⣀⣤⣤\n ⣴⣿⣿\n⣿",
    "Tea     3 cups\nMilk    1 jug\nBread   none",
)
PROSE = (
    "Hello!\n\nWhat a day...\nBye!",
    "  The sea was wet\n    as wet could be,\n  the sands were dry\n    as dry.",
    "- bread\n- butter\n- jam",
    "https://a.example/x?y=1&z=2#a\nhttps://b.example/\nhttps://c.example/%20",
    "🎈🎈🎈\n🎈🎈\n🎈",
    "/\\ /\\",
    "你好！\n谢谢。\n再见！",
)
ANYTHING = st.text(st.characters(), max_size=200)  # surrogates included
NASTY = st.text(
    st.sampled_from("a \n\r\t\0\u200b\u200c\u200d\u202e\u2066\u0301\u0323\u115f\u3164\ufe0f\ud800é가ᄀ")
)
HIDDEN = "\0\x07\x1b\x7f\x9b\xad\u200b\u2060\ufeff\ud800\udfff\uffff"
REORDERING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@pytest.mark.parametrize(
    ("typed", "cleaned"),
    [
        *((f"pay{unwanted}pal", "paypal") for unwanted in HIDDEN + REORDERING),
        *((f"one{end}two", "one\ntwo") for end in ("\r\n", "\r", "\n", "\u2028", "\u2029", "\x85")),
        ("one\n \n\t\n\u3000\n\n\ntwo", "one\n\n\ntwo"),  # at most two blank lines, without spaces in them
        ("one\n\n\ntwo", "one\n\n\ntwo"),
        ("e\u200b\u0301", "é"),  # a letter and its accent, with a gap between them
        ("hi\U000e0068\U000e0069 there", "hi there"),  # tags that spell no flag
        # joiners with nothing to join
        ("\u200dAda\u200d\n \u200cKing \u200d\n\u200d\u200dof\u200c\u200c", "Ada\nKing\nof"),
    ],
    ids=ascii,
)
def test_what_hides_reorders_or_breaks_is_dropped(typed: str, cleaned: str) -> None:
    assert clean_text(typed) == cleaned


@pytest.mark.parametrize("drawing", DRAWINGS)
def test_a_drawing_keeps_every_space_but_those_at_line_ends(drawing: str) -> None:
    assert clean_text(f" \n\n{drawing}   \n \n") == drawing
    assert clean_text("  one line ") == "  one line"
    assert text.is_drawn(drawing)


@pytest.mark.parametrize("prose", PROSE)
def test_prose_and_verse_are_not_drawn(prose: str) -> None:
    assert not text.is_drawn(prose)


@pytest.mark.parametrize("marks", ["\u0315\u0316\u0317" * 40, "\u0301" * 5, "\u0344" * 4])
def test_a_tower_of_marks_keeps_four(marks: str) -> None:
    cleaned = clean_text("q" + marks)
    assert cleaned[0] == "q"
    assert len(cleaned) == 5


def test_joiners_between_marks_do_not_let_a_tower_through() -> None:
    cleaned = clean_text("q" + "\u0315\u200d" * 40 + "x")
    assert sum(map(unicodedata.combining, cleaned)) == 4 * unicodedata.combining("\u0315")


@pytest.mark.parametrize(
    "text",
    [
        "בְּרֵאשִׁ֖ית בָּרָ֣א אֱלֹהִ֑ים",  # Hebrew with points and accents
        "བཀྲ་ཤིས་བདེ་ལེགས།",  # Tibetan
        "நன்றி",  # Tamil
        "हिन्दी में धन्यवाद",  # Devanagari
        "ขอบคุณที่แวะมา",  # Thai
        "شُكْرًا جَزِيلًا",  # Arabic with vowels
        "می\u200cخواهم",  # Persian with a non-joiner
        "Cảm ơn bạn rất nhiều",  # Vietnamese
        "👩\u200d👩\u200d👧 👋🏽 ❤️ 🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
        "ありがとう ㄱ 가나다",
    ],
)
def test_real_scripts_and_emoji_stay_as_they_are(text: str) -> None:
    normal = unicodedata.normalize("NFC", text)
    assert clean_text(text) == normal
    assert clean_line(text) == normal


@pytest.mark.parametrize(
    "blank", ["", " \t\r\n", "\u200b\u200d", "\u3164", "\u115f\u1160", "\u2800", "\ufe0f", "\u00a0"]
)
def test_what_nobody_can_see_is_empty(blank: str) -> None:
    assert clean_text(blank) == ""
    assert clean_line(blank) == ""


def test_a_line_has_one_space_between_its_words_and_none_around() -> None:
    assert clean_line("  Ada \u00a0\n King\tof  Lovelace ") == "Ada King of Lovelace"
    assert clean_line("\u200dAda\u200d") == "Ada"


@given(ANYTHING | NASTY)
def test_what_is_left_can_be_stored_and_is_never_longer_than_it_must(text: str) -> None:
    cleaned = clean_text(text)
    cleaned.encode()  # raises on half a character
    assert not {unicodedata.category(character) for character in cleaned.replace("\n", "")} & {"Cc", "Cs"}
    assert "\n" not in clean_line(text)
    assert len(cleaned) <= 3 * len(text)  # NFC takes apart a few characters that it does not put together


@pytest.mark.parametrize(
    "part", [" ", "\n", "\u200d", " \u200d", "\u0301", "\u0315\u0316", "\U000e0041", "\r\n "]
)
def test_a_body_as_long_as_allowed_is_cleaned_in_a_moment(part: str) -> None:
    start = time.thread_time()
    clean_line(part * (64 * 1024 // len(part.encode())) + "x")
    assert time.thread_time() - start < 2  # quadratic: minutes


@pytest.mark.parametrize(
    ("number", "said"),
    [(0, "0 deliveries"), (1, "1 delivery"), (2, "2 deliveries"), (1000, "1,000 deliveries")],
)
def test_a_number_has_its_noun_in_the_right_form(number: int, said: str) -> None:
    assert text.counted(number, "delivery", "deliveries") == said
    assert text.counted(number, "row").removesuffix("s") == f"{number:,} row"


# --- a list of single characters, as people see them

ONE = [
    *("a", "é", "e\u0301", "<", "漢", "ش", "한", "🐚", "☕️", "❤️", "1️⃣", "👍🏽", "🇩🇪", "👩‍🚀"),
    *("👨🏻‍👩🏻‍👧🏻‍👦🏻", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "🏳️‍🌈", "कि", "﷽"),
]
NOT_ONE = [
    *("ab", "🐚🌊", "🇩🇪🇫🇷", "a1", "a‍b"),
    *("\u0301", "\ufe0f", "\u115f", "\ue000", "a\u200e", "\u200c🐚", "🐚\u200c🌊"),
    "क" + "ि" * 20,
    "👩" + "\u200d🚀" * 20,
]


@pytest.mark.parametrize("character", ONE)
def test_one_character_is_one(character: str) -> None:
    once = text.one_character_a_word(character, 1)
    assert once
    assert text.one_character_a_word(f" {character}\n", 1) == once


@pytest.mark.parametrize("word", NOT_ONE)
def test_what_is_more_or_cannot_be_seen_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="is not one character"):
        text.one_character_a_word(f"⭐ {word}", 50)


def test_invisible_and_reordering_characters_go_before() -> None:
    assert text.one_character_a_word(
        "\x00🐚 \u202e \u200b⭐\u2066\r\n\t\ud800🌊\u3000a" + "\u0335" * 90, 4
    ) == ("🐚 ⭐ 🌊 a" + "\u0335" * 4)
    for nothing in ("", " \n\x00\u202e"):
        assert text.one_character_a_word(nothing, 50) == ""


def test_there_are_at_most_so_many() -> None:
    assert text.one_character_a_word("⭐ " * 50, 50) == " ".join("⭐" * 50)
    with pytest.raises(ValueError, match=r"^These are 51 characters\. Please use at most 50\.$"):
        text.one_character_a_word("⭐ " * 51, 50)


@pytest.mark.parametrize("much", ["x" * 100_000, "x " * 50_000, "\u0301" * 100_000, "🐚\u200d" * 50_000])
def test_much_text_is_refused_in_a_short_sentence(much: str) -> None:
    with pytest.raises(ValueError, match="character") as refused:
        text.one_character_a_word(f"⭐ {much}", 50)
    assert len(str(refused.value)) < 120
