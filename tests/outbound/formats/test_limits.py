"""No body is longer than its service accepts, and texts are cut between characters and escapes."""

import html
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from guestbook.outbound import formats
from guestbook.outbound.formats import CHAT_FORMATS, chats
from tests.outbound.formats.cases import MOMENT, URLS, body, comment, says
from tests.support.amount import examples

FULL = 4000  # characters of the longest comment
# Services that take less than that, with the bytes that they get at least: in UTF-8 for ntfy, else in UTF-16.
CUT = {"discord": 3990, "ntfy": 4090, "telegram": 8180}
WILD = st.text(st.sampled_from([*"ab \n\\*_~`|><#[]()@&\"'", "🎈", "é", "\u200d", "\u202e", "\0", "\ud800"]))
LONG = st.builds(lambda part, times: part * times, WILD, st.integers(1, 2000))


def check(name: str, text: str) -> None:
    """Count as the service does."""
    shown: Any = json.loads(text)
    if name == "slack":
        assert len(shown["text"]) <= 40_000
        parts = shown["blocks"][0]["elements"][0]["elements"]
        texts = [part["text"] for part in parts if part["type"] == "text"]
        assert all(0 < len(one) <= 3000 for one in texts)
        assert len("".join(texts).encode("utf-16-le")) <= 2 * 13_000
    elif name == "discord":
        assert len(shown["content"].encode("utf-16-le")) <= 2 * 2000
    elif name == "teams":
        assert len(text.encode()) <= 28 * 1024
    elif name == "mattermost":
        assert len(shown["text"]) <= 16_383
    elif name == "ntfy":
        assert len(shown["message"].encode()) <= 4096
        assert len(shown["title"].encode()) <= 1024
    elif name == "telegram":
        assert len(shown["text"].encode("utf-16-le")) <= 2 * 4096
    else:
        pytest.fail(f"Say here how much {name} accepts.")


@pytest.mark.parametrize("name", CHAT_FORMATS)
@settings(max_examples=examples(15), deadline=None)
@given(message=LONG, who=LONG, title=LONG, website=st.none() | LONG)
def test_any_text_gives_json_within_the_limits(
    name: str, message: str, who: str, title: str, website: str | None
) -> None:
    data = comment(message, name=who, website=website)
    data["guestbook"]["title"] = title
    for event in ("comment.created", "comment.replied", "inbound.received", "webhook.disabled"):
        full = data | {"reply": {"message": message}, "inbound": {"payload": message, "sender": who}}
        full |= {"source": {"name": title}, "webhook": {"id": "1", "name": who}}
        text = formats.render(name, formats.FormatInput(event, MOMENT, full, url=URLS.get(name, "")))
        text.encode()
        check(name, text)


@pytest.mark.parametrize("name", CHAT_FORMATS)
@pytest.mark.parametrize("letter", ["🎈", "&", "\\", "<", "*", "@", "_", '"', "é", "\n."])
def test_the_longest_comment_fits(name: str, letter: str) -> None:
    data = comment((letter * FULL)[:FULL], name=letter * 80, website="https://" + "x" * 490)
    check(
        name,
        formats.render(name, formats.FormatInput("comment.created", MOMENT, data, url=URLS.get(name, ""))),
    )


@pytest.mark.parametrize("name", [name for name in CHAT_FORMATS if name not in CUT])
def test_services_that_take_it_get_the_longest_comment_whole(name: str) -> None:
    assert "🎈" * FULL in says(name, "🎈" * FULL)


@pytest.mark.parametrize(("name", "least"), CUT.items())
def test_others_get_as_much_as_they_take_and_see_that_it_goes_on(name: str, least: int) -> None:
    shown = says(name, "🎈" * FULL)
    assert shown.count("…") == 1
    assert least < len(shown.encode("utf-8" if name == "ntfy" else "utf-16-le"))


def test_the_link_stands_after_the_cut() -> None:
    assert says("discord", "x" * FULL).endswith("x…\n<https://book.example/comments/1>")


@pytest.mark.parametrize("before", ["", "x", "xx", "xxx", "xxxx", "xxxxx"])
def test_no_cut_parts_an_escape(before: str) -> None:
    data = {"inbound": {"payload": ""}, **comment(before + "&" * 20_000)}
    shown = body("slack", data=data)["text"]
    assert re.fullmatch(r"(?:[^&]|&amp;)*", shown)
    assert html.unescape(shown).count("&") > 7000
    shown = says("discord", before + "*" * FULL).split("\n")[2]
    assert re.fullmatch(r"x*(?:\\\*)+…", shown)


def test_no_cut_leaves_a_joiner_that_waits_for_the_next_emoji() -> None:
    for room in range(1, 30):
        assert "\u200d…" not in chats.cut("👩‍🚀" * 20, str, room)


def test_where_there_is_no_room_there_is_nothing() -> None:
    assert chats.cut("Hello", str, 0) == ""
    assert chats.cut("Hello", str, -5) == ""
    assert chats.cut("Hello", str, 1) == "…"
    assert chats.cut("Hello", str, 4) == "Hel…"
    assert chats.cut("Hello", str, 5) == "Hello"
