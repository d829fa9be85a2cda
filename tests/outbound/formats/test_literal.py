"""A chat shows visitors' text as they typed it, whatever the chat's markup is."""

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from guestbook.lib.text import clean_line, clean_text
from tests.outbound.formats import readers
from tests.outbound.formats.cases import body, comment, said, says
from tests.outbound.formats.readers import Markup
from tests.support.amount import examples

PIECES = st.sampled_from(
    [
        *"ab1 \n\\*_~`|><#[]()@&$:;!=+-.\"'",
        *(
            "\n- ",
            "\n1. ",
            "\n    ",
            "\n# ",
            "\n> ",
            "\n===",
            "\n---",
            "\n| a | b |",
            "```\n",
            "<!channel>",
            "é",
        ),
        *(
            "https://x.org/a_b",
            "http://x/",
            "www.x.org/_a_",
            "x.org/_a_",
            "@all",
            ":smile:",
            "#tag",
            "~town",
            "&#64;",
        ),
        *("<@U1>", "<http://x|y>", "[x](http://y)", "**b**", "_i_", "$x$", "||s||", "mailto:a", "~~d~~"),
    ]
)
HOSTILE = st.lists(PIECES, max_size=12).map("".join)
READERS = {"discord": readers.discord, "mattermost": readers.mattermost}
MARKED_UP = [
    *("*b*", "**b**", "_i_", "__u__", "~~d~~", "`c`", "```\nc\n```", "[x](http://y)", "![x](http://y)"),
    *("- x", "* x", "+ x", "1. x", "# h", "> q", "h\n===", "a | b\n--- | ---", "\n\n    code", "||s||"),
    *(
        "@channel",
        "<!channel>",
        "<@U1>",
        "<#C1>",
        "<t:0>",
        ":smile:",
        "#tag",
        "~town",
        "$x$",
        "<http://x>",
        "-# x",
    ),
]


def shown(name: str, message: str) -> str:
    """The part of the text that is the message's."""
    return says(name, message).split("\n", 2)[2].rpartition("\n")[0]


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=examples(40), deadline=None)
@given(message=HOSTILE)
@example(message="https://x.org/a_b_c")
@example(message="(see https://en.wikipedia.org/wiki/Foo_(bar)), *b*")
@example(message="**https://x.org/a_b**")
@example(message="\\https://x/_a_\\")
def test_the_words_are_read_as_they_were_typed(name: str, message: str) -> None:
    typed = clean_text("." + message + ".")
    assert readers.seen(READERS[name](shown(name, typed))) == readers.seen(typed)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("message", MARKED_UP)
def test_no_markup_of_any_kind_is_left(name: str, message: str) -> None:
    assert readers.seen(READERS[name](shown(name, message))) == clean_text(message).strip()
    in_one_line = message.replace("\n", " ")
    who = says(name, "", name=in_one_line).split("\n")[1]
    assert readers.seen(READERS[name](who)) == clean_line(in_one_line)
    title = said(name, body(name, "comment.replied", comment(name=in_one_line))).split("\n")[0]
    read = READERS[name](title.removeprefix("**").removesuffix("**"))
    assert readers.seen(read) == f"An answer to {clean_line(in_one_line)} in My book"


@pytest.mark.parametrize("message", ["**b**", "- x", "`c`", "[x](y)", "1. x", "# h", "> q", "~~d~~", "@all"])
def test_a_reader_sees_what_is_markup(message: str) -> None:
    for read in READERS.values():
        with pytest.raises(Markup):
            read(f"a\n{message}") if message != "[x](y)" else read("[x](http://y)")


@pytest.mark.parametrize("name", [*READERS, "telegram", "ntfy"])
@pytest.mark.parametrize(
    "url",
    ["https://x.org/a_b_c", "https://x.org/_a_/*b", "https://x.org/~u/?a_b=c_d&e[]=1", "http://x/#_top_"],
)
def test_a_url_stays_whole(name: str, url: str) -> None:
    for message in (url, f"See {url} and *that*", f"{url}\n{url}"):
        wanted = url if name in ("telegram", "ntfy") else url.partition("[")[0].replace("*", "%2A")
        assert says(name, message).count(wanted) == message.count(url)
    assert url.partition("[")[0].replace("*", "%2A") in says(name, "", website=url).replace("*", "%2A")


@pytest.mark.parametrize(("name", "limit"), [("discord", 2000), ("mattermost", 16_383), ("telegram", 4096)])
def test_no_url_is_cut_in_two(name: str, limit: int) -> None:
    text = says(name, "x " * (limit // 2 - 100) + "https://x.org/" + "a" * limit)
    [line] = [line for line in text.split("\n") if line.endswith("…")]
    assert set(line) == {*"x …"}


@settings(max_examples=examples(20), deadline=None)
@given(message=HOSTILE)
def test_slack_and_teams_get_the_words_as_text_that_is_no_markup(message: str) -> None:
    data = comment(message + " x", name="*Ada* <!channel>")
    words = f"New comment in My book\n*Ada* <!channel>\n{clean_text(message + ' x').strip()}"
    slack = body("slack", data=data)
    parts = slack["blocks"][0]["elements"][0]["elements"]
    assert {part["type"] for part in parts} == {"text", "link"}
    assert said("slack", slack) == f"{words}\nhttps://book.example/comments/1"
    assert slack["mrkdwn"] is False
    assert not {"<", ">"} & set(slack["text"])
    teams = body("teams", data=data)
    assert said("teams", teams) == words
    assert not named(teams, "TextBlock")


def named(shown: Any, kind: str) -> bool:
    return f'"{kind}"' in json.dumps(shown)
