"""What works like a password can be hidden: in a text, in a path, in a URL."""

import pytest

from guestbook.lib import redaction

LINK, TOKEN = "0" * 88, "aZ_-" * 8


def test_in_a_text_the_secret_parts_of_addresses_are_hidden() -> None:
    text = f'{{"a": "https://book.example/moderate/{LINK}"}}'
    text += f" /hooks/{TOKEN}, \\/bin\\/{TOKEN}/x %2Fcron%2F{TOKEN}"
    others = " /moderate/ and /bin/abc stay"
    hidden = text.replace(LINK, "(hidden)").replace(TOKEN, "(hidden)")
    assert redaction.addresses(text + others) == hidden + others
    assert redaction.addresses(text, may_moderate=True) == text.replace(TOKEN, "(hidden)")


@pytest.mark.parametrize(
    "slash", ["/", "//", "\\" * 15 + "/", "%2F", "%25252f", r"\u002f", "&#x2f;", "&#47;", "&sol;"]
)
def test_a_slash_may_be_spelt_in_any_way_that_programs_have(slash: str) -> None:
    text = f"{slash}hooks{slash}{TOKEN} {slash}bin{slash}"
    assert redaction.addresses(text) == text.replace(TOKEN, "(hidden)")


def test_a_long_row_of_backslashes_takes_no_time() -> None:
    assert redaction.addresses("\\" * 1_000_000 + "/hooks" + "\\" * 1_000_000).endswith("\\")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://hooks.slack.com/services/T/B/x", "https://hooks.slack.com/(hidden)"),
        ("https://me:secret@[::1]:8443/?key=x", "https://[::1]:8443/(hidden)"),
        ("http://localhost:9/", "http://localhost:9/"),
        ("mailto:ada@example.org", "mailto:ada@example.org"),
        ("pull:", "pull:"),
    ],
)
def test_of_a_url_the_host_stays(url: str, shown: str) -> None:
    assert redaction.url(url) == shown


def test_a_text_about_a_request_has_no_secret_part_of_its_url() -> None:
    url = "https://api.telegram.org/bot123456:abcdefghi/sendMessage?chat_id=-100"
    said = 'Wrong: bot123456:abcdefghi at {"chat_id": -100, "text": "sendMessage"}'
    hidden = 'Wrong: (hidden) at {"chat_id": "(hidden)", "text": "sendMessage"}'
    assert redaction.parts_of_url(said, url) == hidden
