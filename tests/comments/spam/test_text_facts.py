"""What a text holds that spam often holds."""

import pytest

from guestbook.comments.spam import texts


@pytest.mark.parametrize(
    ("message", "links"),
    [
        ("HTTPS://www.example.com/a.com?b", 2),
        ("www.example.org, example.com; example.net.", 3),
        ("http://a.example,http://b.example", 2),
        ("[url=http://a.example]x[/url] <a href='http://b.example'>", 2),
        ("ada@example.com and e.g. this, 3.14, example.txt", 0),
    ],
)
def test_what_the_page_would_link_counts_as_a_link(message: str, links: int) -> None:
    assert texts.links(message) == links


@pytest.mark.parametrize(
    ("message", "found"),
    [
        ("[url=http://a.example]a[/url] [URL]http://b.example[/URL]", {"BBCode": 2}),
        ('<a href="http://a.example">a</a>', {"HTML": 1}),
        ("[a](https://a.example)", {"Markdown": 1}),
        ("<b>bold</b> [b]bold[/b] a [note](later) <a name=x>", {}),
    ],
)
def test_markup_for_links_is_told_from_other_markup(message: str, found: dict[str, int]) -> None:
    assert texts.link_markup(message) == found


@pytest.mark.parametrize(
    "message",
    [
        "Call +1 (555) 010-9988 now",
        "WhatsApp 0151 0000 000",
        "Contact me on Telegram @someone",
        "加微信 vip8888",
        "contact us: a@b.example",
    ],
)
def test_a_number_to_call_or_an_account_is_a_contact(message: str) -> None:
    assert texts.contact(message)


@pytest.mark.parametrize(
    "message",
    [
        "Born 12 03 1948, married 1971, and back here in 2024.",
        "Loco 99 1555 ran from 1933 to 1987 on line 8.",
        "I sent it by telegram in 1956, as one did.",
        "My telephone never rings",
        "https://a.example/1234567890123 is the page",
        "3.141592653589793 is pi",
    ],
)
def test_years_and_other_numbers_are_none(message: str) -> None:
    assert texts.contact(message) is None


@pytest.mark.parametrize(
    ("text", "scripts"),
    [
        ("Hello, wörld", {"Latin"}),
        ("Привет из Казани", {"Cyrillic"}),
        ("写真がとてもきれい", {"Chinese or Japanese"}),
        ("Hello and спасибо to all of you, my dear friends", {"Latin"}),
        ("❤ 123 !!", set()),
        ("δδδδ", {"Greek"}),
        ("გამარჯობა", {"Georgian"}),
    ],
)
def test_a_text_has_the_writing_systems_that_make_up_a_good_part(text: str, scripts: set[str]) -> None:
    assert texts.scripts(text) == scripts


def test_a_word_of_lookalike_letters_is_found_and_two_languages_are_none() -> None:
    assert texts.mixed_word("the best сasino here") == "сasino"
    assert texts.mixed_word("Москва and London, naïve Größe, ΔT") is None
