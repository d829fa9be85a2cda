"""A list of single characters, as people see them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestbook.lib import text as text_module

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
    once = text_module.one_character_a_word(character, 1)
    assert once
    assert text_module.one_character_a_word(f" {character}\n", 1) == once


@pytest.mark.parametrize("word", NOT_ONE)
def test_what_is_more_or_cannot_be_seen_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="is not one character"):
        text_module.one_character_a_word(f"⭐ {word}", 50)


def test_invisible_and_reordering_characters_go_before() -> None:
    assert text_module.one_character_a_word(
        "\x00🐚 \u202e \u200b⭐\u2066\r\n\t\ud800🌊\u3000a" + "\u0335" * 90, 4
    ) == ("🐚 ⭐ 🌊 a" + "\u0335" * 4)
    for nothing in ("", " \n\x00\u202e"):
        assert text_module.one_character_a_word(nothing, 50) == ""


def test_there_are_at_most_so_many() -> None:
    assert text_module.one_character_a_word("⭐ " * 50, 50) == " ".join("⭐" * 50)
    with pytest.raises(ValueError, match=r"^These are 51 characters\. Please use at most 50\.$"):
        text_module.one_character_a_word("⭐ " * 51, 50)


@pytest.mark.parametrize("text", ["x" * 100_000, "x " * 50_000, "\u0301" * 100_000, "🐚\u200d" * 50_000])
def test_much_text_is_refused_in_a_short_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="character") as refused:
        text_module.one_character_a_word(f"⭐ {text}", 50)
    assert len(str(refused.value)) < 120


@given(st.text(max_size=30))
def test_any_text_is_refused_or_stays_the_same_when_it_is_saved_again(text: str) -> None:
    try:
        once = text_module.one_character_a_word(text, 50)
    except ValueError:
        return
    assert text_module.one_character_a_word(once, 50) == once
    assert all(text_module.is_one_character(word) for word in once.split())
