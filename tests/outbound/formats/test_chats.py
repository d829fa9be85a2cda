"""Chat services: valid and escaped bodies, in which nobody is mentioned; URLs that suggest a format."""

import json
from typing import Any

import pytest

from guestbook.lib.text import clean_text
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.outbound.formats import CHAT_FORMATS, FormatError, chats
from tests.outbound.formats.cases import LINK, body, comment, said, says

ZERO_WIDTH = "\u200b"
ENDED = "\ufeff"
CARD = "application/vnd.microsoft.card.adaptive"
SLACK_ELEMENTS = [
    {"type": "text", "text": "New comment in My book", "style": {"bold": True}},
    {"type": "text", "text": "\nAda\nHello"},
    {"type": "text", "text": "\n"},
    {"type": "link", "url": LINK},
]
BODIES: list[tuple[str, dict[str, Any]]] = [
    (
        "slack",
        {
            "text": f"New comment in My book\nAda\nHello\n{LINK}",
            "mrkdwn": False,
            "blocks": [
                {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": SLACK_ELEMENTS}]}
            ],
            "unfurl_links": False,
            "unfurl_media": False,
        },
    ),
    (
        "discord",
        {
            "content": f"**New comment in My book**\nAda\nHello\n<{LINK}>",
            "allowed_mentions": {"parse": []},
            "flags": 4,
        },
    ),
    ("mattermost", {"text": f"**New comment in My book**\nAda\nHello\n{LINK}"}),
    (
        "ntfy",
        {"topic": "my-topic", "title": "New comment in My book", "message": "Ada\nHello", "click": LINK},
    ),
    (
        "telegram",
        {
            "chat_id": -100123,
            "text": f"New comment in My book\nAda\nHello\n{LINK}",
            "link_preview_options": {"is_disabled": True},
        },
    ),
]


@pytest.mark.parametrize(("name", "expected"), BODIES)
def test_a_body_is_what_its_service_demands_and_no_more(name: str, expected: dict[str, Any]) -> None:
    assert body(name, data=comment()) == expected


def run(shown: dict[str, str]) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", **shown}]}


def test_teams_gets_a_message_with_one_adaptive_card() -> None:
    shown = body("teams", data=comment())
    [attachment] = shown.pop("attachments")
    assert shown == {"type": "message"}
    assert attachment == {
        "contentType": CARD,
        "content": {
            "type": "AdaptiveCard",
            "version": "1.2",
            "body": [
                run({"text": "New comment in My book", "weight": "Bolder"}),
                run({"text": "Ada"}),
                run({"text": "Hello"}),
            ],
            "actions": [{"type": "Action.OpenUrl", "title": "Look", "url": LINK}],
        },
    }


HOSTILE = [
    ("slack", "<!channel> <@U1> <http://x|y> *b* `c` :d:", "<!channel> <@U1> <http://x|y> *b* `c` :d:"),
    ("slack", "a & b &amp; *c*", "a & b &amp; *c*"),
    ("discord", "[x](http://y.z)", f"\\[x\\](http://y.z{ENDED})"),
    ("discord", r"*a* _b_ ~~c~~ `d` ||e||", r"\*a\* \_b\_ \~\~c\~\~ \`d\` \|\|e\|\|"),
    ("discord", "# big\n> said", "\\# big\n\\> said"),
    ("discord", "<@1> <t:0> \\*", r"\<\@1\> \<t\:0\> \\\*"),
    ("teams", "[x](http://y) *a* _b_", "[x](http://y) *a* _b_"),
    ("teams", "one\ntwo", "one\ntwo"),
    ("mattermost", "@channel, @all", f"@{ZERO_WIDTH}channel, @{ZERO_WIDTH}all"),
    ("mattermost", "&#64;here <!all>", f"&{ZERO_WIDTH}\\#64;here &lt;!all\\>"),
    ("mattermost", "[x](y) # ~c~ `d` |", r"\[x\](y) \# \~c\~ \`d\` \|"),
    ("mattermost", r"C:\dir \* $x$", f"C:{ZERO_WIDTH}\\dir \\\\\\* &#36;x&#36;"),
    ("telegram", "@ada #b /c $D [x](y) <b>", "@_ada #_b /_c $_D [x](y) <b>".replace("_", ZERO_WIDTH)),
    ("ntfy", "@ada [x](y) <b> & *", "@ada [x](y) <b> & *"),
]


def test_every_service_has_its_body_and_its_markup_here() -> None:
    assert {name for name, _ in BODIES} | {"teams"} == {*CHAT_FORMATS}
    assert {name for name, _, _ in HOSTILE} == {*CHAT_FORMATS}


@pytest.mark.parametrize(("name", "hostile", "shown"), HOSTILE)
def test_markup_and_mentions_stay_what_was_typed_and_do_nothing(name: str, hostile: str, shown: str) -> None:
    assert shown in says(name, hostile)
    assert shown.replace("\n", " ") in says(name, "", name=hostile).replace("\n", " ")


@pytest.mark.parametrize("name", CHAT_FORMATS)
@pytest.mark.parametrize("message", ["שלום עולם", "مرحبا 👩🏽‍🚀", "Zoë — “quoted” 'x'", "日本語\nです", "🏴󠁧󠁢󠁳󠁣󠁴󠁿"])
def test_every_script_arrives_as_it_is(name: str, message: str) -> None:
    assert message in says(name, message)


@pytest.mark.parametrize("name", CHAT_FORMATS)
def test_what_hides_or_turns_text_does_not_arrive(name: str) -> None:
    shown = says(name, "a\0b\u202ec\ud800d\ue000", name="A\u2066da\n")
    assert not {"\0", "\u202e", "\u2066", "\ud800"} & set(shown)
    assert "abcd" in shown


@pytest.mark.parametrize("name", CHAT_FORMATS)
@pytest.mark.parametrize("event", EVENTS)
def test_every_event_has_words(name: str, event: str) -> None:
    assert body(name, event)


@pytest.mark.parametrize("name", CHAT_FORMATS)
@pytest.mark.parametrize("event", [*EVENTS, "comment.exploded"])
def test_an_event_with_missing_data_has_words_too(name: str, event: str) -> None:
    for data in ({"x": 1}, {"comment": None}, {"comment": "x", "inbound": [1], "source": 3, "webhook": {}}):
        assert body(name, event, data)


# --- a held comment, with a link to moderate it

MODERATE_URL = "https://book.example/moderate/0123"
HELD = comment(status="held") | {
    "moderation": {"url": MODERATE_URL, "expires_at": "2026-02-07T23:59:59.123Z"}
}


def test_slack_shows_a_button_and_its_fallback_a_link() -> None:
    shown = body("slack", data=HELD)
    message, actions = shown["blocks"]
    assert MODERATE_URL not in str(message)
    assert actions == {
        "type": "actions",
        "elements": [
            {"type": "button", "text": {"type": "plain_text", "text": "Moderate"}, "url": MODERATE_URL}
        ],
    }
    assert shown["text"].endswith(f"\n{MODERATE_URL}")


def test_teams_and_ntfy_show_a_button() -> None:
    [attachment] = body("teams", data=HELD)["attachments"]
    button = {"type": "Action.OpenUrl", "title": "Moderate", "url": MODERATE_URL}
    assert attachment["content"]["actions"] == [button]
    shown = body("ntfy", data=HELD)
    assert shown["actions"] == [{"action": "view", "label": "Moderate", "url": MODERATE_URL}]
    assert shown["click"] == MODERATE_URL


@pytest.mark.parametrize(
    ("base_url", "has_button"),
    [
        ("https://book.example", True),
        ("http://127.0.0.1:5000", True),
        ("http://localhost:5000", False),  # Telegram would refuse the message
        ("http://book", False),
    ],
)
def test_telegram_shows_a_button_where_it_can_and_a_link_always(base_url: str, has_button: bool) -> None:
    url = f"{base_url}/moderate/0123"
    shown = body("telegram", data=HELD | {"moderation": {"url": url}})
    button = {"inline_keyboard": [[{"text": "Moderate", "url": url}]]}
    assert shown.get("reply_markup") == (button if has_button else None)
    assert shown["text"].endswith(f"\n{url}")


def test_discord_mattermost_and_email_show_the_link() -> None:
    assert body("discord", data=HELD)["content"].endswith(f"\n<{MODERATE_URL}>")
    assert body("mattermost", data=HELD)["text"].endswith(f"\n{MODERATE_URL}")
    written = body("email", data=HELD)["text"]
    assert f"without a login (the link works for 7 days):\n{MODERATE_URL}\n" in written
    assert "Moderate it: https://book.example/admin/comments/1" in written


@pytest.mark.parametrize("name", CHAT_FORMATS)
def test_the_links_of_a_reminder_are_whole_in_every_chat(name: str) -> None:
    url = f"https://book.example/moderate/{'0123456789abcdef' * 5}01234567"
    each = [{"held_at": "2026-01-31T23:59:59.123Z", "moderation": {"url": url}}] * 10
    waiting = {"count": 12, "since": "2026-01-31T23:59:59.123Z", "url": LINK, "comments": each}
    shown = body(name, "comments.waiting", {"waiting": waiting})
    assert str(shown).count(url) >= 10


# --- places


ANY_HOST = ("mattermost",)  # services that people run at addresses of their own
BOT = "https://api.telegram.org/bot123:a-B_c/sendMessage"
DISCORD = "https://discord.com/api/webhooks/123/a-B_c"
SUGGESTED: dict[str | None, list[str]] = {
    "slack": ["https://hooks.slack.com/services/T0/B0/x", "https://hooks.slack-gov.com/services/T0/B0/x"],
    "discord": [
        *(DISCORD, DISCORD + "?wait=true&thread_id=4", DISCORD + "/slack"),
        *("https://ptb.discord.com/api/v10/webhooks/1/x", "https://discordapp.com/api/webhooks/1/x"),
    ],
    "teams": [
        "https://prod-1.westeurope.logic.azure.com/workflows/1/triggers/manual/paths/invoke?sig=x",
        "https://default1.e2.environment.api.powerplatform.com/powerautomate/automations/1",
    ],
    "telegram": [BOT + "?chat_id=1", BOT],
    "ntfy": ["https://ntfy.sh/my-topic", "https://ntfy.sh/?topic=my-topic"],
    None: [
        *("https://ntfy.sh/", "https://ntfy.sh/no.topic", "https://receiver.example/hook", "https://[", ""),
        *("https://hooks.slack.com.evil.example/services/x", "https://notlogic.azure.com/x"),
        *("https://discord.com/channels/1/2", DISCORD + "/github"),
        *(
            "https://evil.example/discord.com/api/webhooks/1/x",
            "https://receiver.example/?u=https://ntfy.sh/x",
        ),
    ],
}
PLACES = [(url, name) for name, urls in SUGGESTED.items() for url in urls]


def test_every_service_whose_urls_can_be_recognised_has_one_here() -> None:
    assert {*SUGGESTED} - {None} | {*ANY_HOST} == {*CHAT_FORMATS}


@pytest.mark.parametrize(("url", "format_name"), PLACES)
def test_the_url_of_a_known_service_suggests_its_format(url: str, format_name: str | None) -> None:
    assert chats.suggest(url) == format_name


@pytest.mark.parametrize(
    "url",
    [
        "https://acme.webhook.office.com/webhookb2/1@2/IncomingWebhook/3/4",
        "https://webhook.office.com/webhookb2/1",
        "https://outlook.office.com/webhook/1",
        "https://outlook.office365.com/webhook/1",
    ],
)
def test_retired_connectors_of_teams_are_refused_with_what_to_do_instead(url: str) -> None:
    sentence = chats.refusal(url)
    assert sentence
    assert "has retired" in sentence
    assert "choose Workflows" in sentence


@pytest.mark.parametrize(
    "url",
    ["https://receiver.example/", "https://www.office.com/", "https://evilwebhook.office.com/", "https://["],
)
def test_other_urls_are_not_refused(url: str) -> None:
    assert chats.refusal(url) is None


@pytest.mark.parametrize(
    ("format_name", "url", "normal"),
    [
        ("discord", DISCORD, DISCORD + "?wait=true"),
        ("discord", DISCORD + "?thread_id=4&wait=false", DISCORD + "?thread_id=4&wait=true"),
        ("ntfy", "https://ntfy.sh/my-topic", "https://ntfy.sh/?topic=my-topic"),
        ("ntfy", "https://ntfy.sh/my-topic/", "https://ntfy.sh/?topic=my-topic"),
        ("ntfy", "https://host.example/ntfy/up?auth=x", "https://host.example/ntfy/?auth=x&topic=up"),
        ("telegram", BOT + "?chat_id=@room", BOT + "?chat_id=@room"),
        ("slack", "https://receiver.example/a?b", "https://receiver.example/a?b"),
        ("json", "https://ntfy.sh/my-topic", "https://ntfy.sh/my-topic"),
        ("template", DISCORD, DISCORD),
    ],
)
def test_a_url_becomes_the_one_that_works_and_stays_it(format_name: str, url: str, normal: str) -> None:
    assert chats.normalize(format_name, url) == normal
    assert chats.normalize(format_name, normal) == normal


def test_ntfy_without_a_topic_is_recognised() -> None:
    assert chats.lacks_topic("https://ntfy.sh")
    assert not chats.lacks_topic("https://ntfy.sh/topic")
    assert not chats.lacks_topic("https://ntfy.example/")


@pytest.mark.parametrize("url", ["https://ntfy.sh/", "https://ntfy.sh/a.b", "https://ntfy.sh/" + "x" * 65])
def test_ntfy_needs_a_topic(url: str) -> None:
    with pytest.raises(FormatError, match="must name ntfy’s topic"):
        chats.normalize("ntfy", url)


@pytest.mark.parametrize(
    "url", [BOT, BOT + "?chat_id=", BOT + "?chat_id=%20", BOT.replace("sendMessage", "getMe") + "?chat_id=1"]
)
def test_telegram_needs_a_chat_and_its_method(url: str) -> None:
    with pytest.raises(FormatError, match="must be like https"):
        chats.normalize("telegram", url)


# --- texts as they were typed


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
