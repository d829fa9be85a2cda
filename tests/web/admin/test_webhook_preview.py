"""The format in the form of a webhook: its URL suggests it, and the body is seen before anything is saved."""

import pytest

from guestbook.comments import comment_actions
from guestbook.outbound import webhooks
from guestbook.storage.models import Webhook
from tests.support import factories
from tests.support.owner import Owner
from tests.support.visitor import parse, text
from tests.support.webhook_pages import PLACE, URL, added, form, part, stored, ticked, value

GOOD = '{"text": {{ comment.message|tojson }}}'
DISCORD = "https://discord.com/api/webhooks/1/x"


def preview(owner: Owner, at: str = "preview", **typed: object) -> str:
    """What the form shows under Preview."""
    answer = owner.post(PLACE + at, form(owner, **typed))
    assert answer.status_code == 200, answer.text
    return part(parse(answer), "preview")


def wording(webhook_id: str) -> str | None:
    return factories.read(lambda session: webhooks.template_of(session, session.get_one(Webhook, webhook_id)))


def test_a_form_without_a_format_takes_the_one_of_the_url_and_says_so(owner: Owner) -> None:
    page = owner.does(PLACE, form(owner, url=DISCORD, format=""))
    assert "The webhook is added in the format discord, as its URL suggests. Now send a ping." in text(page)
    assert DISCORD + "?wait=true" in text(page)
    page = owner.does(PLACE, form(owner, format=""))
    assert "Give its secret to the receiver" in text(page)
    page = owner.does(PLACE, form(owner, url=DISCORD, format="slack"))
    assert "suggests" not in text(page)


def test_a_new_secret_is_shown_only_where_it_is_verified(owner: Owner) -> None:
    for url, format_name, is_shown in ((DISCORD, "slack", False), (DISCORD, "", False), (URL, "json", True)):
        page = text(owner.does(PLACE, form(owner, url=url, format=format_name)))
        assert ("whsec_" in page, "Give its secret" in page) == (is_shown, is_shown)
        assert "end a ping." in page


def test_the_newest_comment_is_shown_as_it_would_be_sent(owner: Owner) -> None:
    seen = preview(owner, format="template", template=GOOD)
    assert "with sample data" in seen, "the book is empty"
    factories.sign("An older one")
    factories.sign("Newest <b> & more", name="Grace")
    seen = preview(owner, format="", template=GOOD)
    assert "This is comment.created in the format" in seen
    assert '"text": "Newest <b> & more"' in seen
    assert '"text": "New comment in Guestbook' in preview(owner, format="slack")
    assert "Newest \\\\<b\\\\> & more" in preview(owner, url=DISCORD, format="")


def test_the_first_event_that_was_ticked_is_shown(owner: Owner) -> None:
    comment_id = factories.sign("Hello")
    factories.change(comment_id, comment_actions.reply, "Welcome")
    seen = preview(owner, format="json", events=["comment.replied", "ping"])
    assert "This is comment.replied in the format json, with the newest comment" in seen
    assert '"message": "Welcome"' in seen
    assert "This is webhook.disabled in the format json, with sample data" in preview(
        owner, format="json", events=["webhook.disabled"]
    )
    assert "This is comment.created in" in preview(owner, format="json", events=["<b>"])
    assert "This is comment.created in" in preview(owner, format="json", events=[])


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"format": "template"}, "The webhook has no template."),
        ({"format": "template", "template": "{% if %}"}, "Line 1 of the template: "),
        ({"format": "telegram", "url": "https://["}, "The URL must be like https://api.telegram.org/bot"),
    ],
)
def test_a_fault_is_a_sentence(owner: Owner, typed: dict[str, object], sentence: str) -> None:
    assert sentence in preview(owner, **typed)
    assert "A webhook is the URL" in text(owner.page(PLACE)), "nothing was added"


def test_a_preview_loses_nothing_that_was_typed(owner: Owner) -> None:
    typed = form(owner, name="Chat", format="template", template=GOOD, headers="X-A: 1", events=["ping"])
    page = parse(owner.post(PLACE + "preview", typed))
    for field in ("key", "url", "name", "template", "headers"):
        assert value(page, field) == typed[field]
    assert ticked(page) == ["ping"]
    [chosen] = page.findall(".//*[@id='format']/option[@selected]")
    assert chosen.attrib["value"] == "template"


def test_a_template_is_saved_shown_and_edited(owner: Owner) -> None:
    row_id = added(owner, format="template", template=GOOD)
    assert GOOD in text(owner.page(PLACE + row_id))
    page = owner.page(f"{PLACE}{row_id}/edit")
    assert value(page, "template") == GOOD
    assert page.find(".//select[@name='format']/option[@value='']") is None
    sent = form(owner, name="Chat", format="template", template="[1]")
    assert "[ 1 ]" in preview(owner, f"{row_id}/preview", name="Chat", format="template", template="[1]")
    assert wording(row_id) == GOOD, "a preview changes nothing"
    owner.does(PLACE + row_id, sent)
    assert wording(row_id) == "[1]"
    owner.does(PLACE + row_id, sent | {"format": "json"})
    assert (stored(row_id).format, wording(row_id)) == ("json", None)


def test_a_wrong_condition_is_refused_by_the_preview_too(owner: Owner) -> None:
    page = owner.refused(PLACE + "preview", form(owner, event_condition="comment.name =="))
    assert part(page, "event_condition-reason")


def test_a_condition_is_tried_with_the_comments_of_the_book(owner: Owner) -> None:
    for name in ("Ada", "Bob"):
        factories.sign(name=name)
    typed = 'comment.name == "Ada"'
    said = preview(owner, event_condition=typed)
    assert "the condition leaves out 1 of the newest 2" in said
    assert (": Not wanted: the condition is false." in said, ": Wanted." in said) == (True, True)
    assert "Wanted, because the condition fails: " in preview(owner, event_condition="comment.x.y == 1")
    assert "the condition leaves out" not in preview(owner, event_condition=typed, events=["ping"])
    assert preview(owner, event_condition=typed, events=["no.event"])
    hook = added(owner, event_condition=typed)
    assert stored(hook).event_condition == typed
    assert "the condition leaves out 1 of the newest 2" in text(owner.page(PLACE + hook))
    page = owner.page(f"{PLACE}{hook}/edit")
    assert value(page, "event_condition") == typed
    answer = owner.post(PLACE + hook, form(owner, event_condition="comment.name =="))
    assert (answer.status_code, "Line 1 of the condition" in answer.text) == (422, True)
    owner.does(PLACE + hook, form(owner, name="Chat", event_condition=""))
    assert stored(hook).event_condition is None
