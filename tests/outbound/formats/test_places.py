"""URLs of chat services: the format that they suggest, refusals, and the form that each format needs."""

import pytest

from guestbook.outbound.formats import CHAT_FORMATS, FormatError, chats

ANY_HOST = ("mattermost",)  # services that people run at addresses of their own
BOT = "https://api.telegram.org/bot123:a-B_c/sendMessage"
DISCORD = "https://discord.com/api/webhooks/123/a-B_c"


PLACES: list[tuple[str, str | None]] = [
    ("https://hooks.slack.com/services/T0/B0/x", "slack"),
    ("https://hooks.slack-gov.com/services/T0/B0/x", "slack"),
    (DISCORD, "discord"),
    (DISCORD + "?wait=true&thread_id=4", "discord"),
    ("https://ptb.discord.com/api/v10/webhooks/1/x", "discord"),
    ("https://discordapp.com/api/webhooks/1/x", "discord"),
    (DISCORD + "/slack", "discord"),
    ("https://prod-1.westeurope.logic.azure.com/workflows/1/triggers/manual/paths/invoke?sig=x", "teams"),
    ("https://default1.e2.environment.api.powerplatform.com/powerautomate/automations/1", "teams"),
    (BOT + "?chat_id=1", "telegram"),
    (BOT, "telegram"),
    ("https://ntfy.sh/my-topic", "ntfy"),
    ("https://ntfy.sh/?topic=my-topic", "ntfy"),
    ("https://ntfy.sh/", None),
    ("https://ntfy.sh/no.topic", None),
    ("https://receiver.example/hook", None),
    ("https://hooks.slack.com.evil.example/services/x", None),
    ("https://notlogic.azure.com/x", None),
    ("https://discord.com/channels/1/2", None),
    (DISCORD + "/github", None),
    ("https://evil.example/discord.com/api/webhooks/1/x", None),
    ("https://receiver.example/?u=https://ntfy.sh/x", None),
    ("https://[", None),
    ("", None),
]


def test_every_service_whose_urls_can_be_recognised_has_one_here() -> None:
    assert {name for _, name in PLACES if name} | {*ANY_HOST} == {*CHAT_FORMATS}


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
