"""The bodies for chat services: valid for each, escaped for each, and nobody is mentioned."""

from typing import Any

import pytest

from guestbook.outbound.event_catalogue import EVENTS
from guestbook.outbound.formats import CHAT_FORMATS
from tests.outbound.formats.cases import LINK, body, comment, says

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
def test_markup_and_mentions_are_what_was_typed_and_nothing_happens(
    name: str, hostile: str, shown: str
) -> None:
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
def test_telegram_shows_a_button_where_it_accepts_one_and_a_link_always(
    base_url: str, has_button: bool
) -> None:
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
