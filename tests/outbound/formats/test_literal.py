"""A chat shows visitors' text as they typed it: URLs stay whole, and no text becomes markup."""

import json

import pytest

from guestbook.lib.text import clean_text
from tests.outbound.formats.cases import body, comment, said, says

MARKED_UP = [
    *("*b*", "__u__", "~~d~~", "`c`", "```\nc\n```", "[x](http://y)", "- x", "1. x", "# h", "> q", "h\n==="),
    *(
        "a | b\n--- | ---",
        "||s||",
        "@channel",
        "<!channel>",
        "<@U1>",
        "<http://x|y>",
        ":smile:",
        "$x$",
        "&#64;",
    ),
]

# What services that read Markdown get; `_` stands for a space without width.
ESCAPED = [
    *[("- x", "_- x"), ("1. x", "_1. x"), ("+ x", "_+ x"), ("h\n===", "h\n_==="), ("||s||", r"\|\|s\|\|")],
    *[("a | b\n--- | ---", "a \\| b\n_--- \\| ---"), ("```\nc\n```", "\\`\\`\\`\nc\n\\`\\`\\`")],
    *[("~~d~~ ~town", r"\~\~d\~\~ \~town"), ("![x](y)", r"!\[x\](y)"), ("*b* **b**", r"\*b\* \*\*b\*\*")],
]


@pytest.mark.parametrize("name", ["discord", "mattermost"])
@pytest.mark.parametrize(("message", "shown"), ESCAPED)
def test_markup_of_blocks_and_words_is_escaped(name: str, message: str, shown: str) -> None:
    text = says(name, message).split("\n", 2)[2].rpartition("\n")[0]
    assert text == shown.replace("_", "\u200b")


@pytest.mark.parametrize("name", ["discord", "mattermost", "telegram", "ntfy"])
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


@pytest.mark.parametrize("message", MARKED_UP)
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
    assert '"TextBlock"' not in json.dumps(teams)
