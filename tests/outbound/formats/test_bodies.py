"""The formats json, thin and template: the body of Standard Webhooks, and that of an owner's template."""

import json

import pytest
from flask import Flask

from guestbook.comments import comment_actions, comment_form
from guestbook.lib import clock
from guestbook.outbound import formats, payload_versions
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.outbound.formats import FormatError, bodies
from guestbook.storage.comment_fields import PUBLIC_FIELDS
from guestbook.storage.models import Comment
from tests.outbound.formats.cases import MOMENT, body, comment
from tests.support import factories
from tests.support.api_client import ApiClient, new_token
from tests.support.receiver import Receiver


def test_the_body_has_a_type_a_timestamp_and_data() -> None:
    body = formats.render("json", formats.FormatInput("comment.created", MOMENT, {"name": "Zoë 🎈"}))
    assert body == (
        '{"type":"comment.created","timestamp":"2026-01-31T23:59:59.123Z","data":{"name":"Zoë 🎈"}}'
    )


@pytest.mark.parametrize("event", EVENTS)
def test_a_thin_body_names_what_the_api_has(event: str) -> None:
    sample = EVENTS[event].sample_data()
    said = body("thin", event)
    assert (list(said), said["type"]) == (["type", "timestamp", "data"], event)
    assert said["data"].keys() - {"id", "sequence"} == {"url"}
    assert said["data"].get("sequence") == sample.get("sequence")
    about, address = next((one, path) for one, path in bodies.API_ADDRESSES.items() if one in sample)
    assert said["data"].get("id") == sample[about].get("id")
    assert said["data"]["url"] == "https://book.example" + address.format(id=said["data"].get("id"))


def test_a_read_token_fetches_what_a_thin_body_names(app: Flask, receiver: Receiver) -> None:
    every = " ".join(name for name in EVENTS if name.startswith("comment."))
    hook = factories.webhook(receiver.url(), events=every, format="thin", moderation_links_since=clock.now())
    words = comment_form.Draft("Zaphod", "https://zaphod.example", "Wordy", {}, note="For you alone")
    comment_id = factories.sign_draft(words)
    factories.change(comment_id, comment_actions.reply, "An answer")
    factories.run_pass()
    reader = ApiClient(app, new_token("reader", scope="read"))
    for request in receiver.requests:
        assert not any(
            word in request.body for word in (b"aphod", b"ordy", b"alone", b"answer", b"/moderate/")
        )
        address = request.json["data"]["url"].removeprefix(f"{factories.settings().base_url}/api/v1")
        found = reader.get(address)
        assert (found["id"], found["message"]) == (request.json["data"]["id"], "Wordy")
        assert found["reply"]["message"] == "An answer"
    assert sorted(request.json["data"]["sequence"] for request in receiver.requests) == [1, 2, 3]
    assert reader.get(f"/webhooks/{hook}")["format"] == "thin"


@pytest.mark.usefixtures("app")
def test_a_published_comment_has_the_body_that_the_contract_shows() -> None:
    factories.webhook(events="comment.published")
    comment_id = factories.sign("Hello <b>")
    row = factories.one()
    comment = factories.the(Comment, comment_id)
    body = json.loads(row.payload)
    assert list(body) == ["type", "timestamp", "data"]
    assert body["type"] == "comment.published"
    assert body["data"]["guestbook"] == {"title": "Guestbook", "url": "https://book.example"}
    assert body["data"]["comment"] == dict.fromkeys(PUBLIC_FIELDS) | {
        "id": comment_id,
        "name": "Ada",
        "website": None,
        "message": "Hello <b>",
        "status": "published",
        "page": None,
        "url": f"https://book.example/comments/{comment_id}",
        "created_at": clock.to_text(comment.created_at),
        "number": 1,
    }


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("letter", ["🎈", '"', "\\", "\n.", "é", "<"])
def test_the_largest_comment_stays_under_20_kb(letter: str) -> None:
    message = (letter * comment_form.MESSAGE_LIMIT)[: comment_form.MESSAGE_LIMIT]
    form = {
        "name": "🎈" * comment_form.VISITOR_NAME_LIMIT,
        "website": ("example.org/" + "é" * 600)[: comment_form.WEBSITE_LIMIT - 8],
        "message": message,
    }
    read = comment_form.read(form)
    assert not read.errors
    factories.webhook()
    factories.sign_draft(read)
    assert len(factories.one().payload.encode()) < 20_000


# --- templates


GOOD = '{"text": {{ (comment.name ~ ": " ~ comment.message)|tojson }}}'


def test_a_template_sees_the_event_and_its_parts_by_their_names() -> None:
    source = """
    {"what": {{ event|tojson }}, "when": {{ timestamp|tojson }}, "who": {{ comment.name|tojson }},
     "same": {{ data.comment.name|tojson }}, "book": {{ guestbook.title|tojson }},
     "answer": {{ reply.message|tojson }}}
    """
    data = comment() | {"reply": {"message": "Thanks"}}
    assert body("template", "comment.replied", data, template=source) == {
        "what": "comment.replied",
        "when": "2026-01-31T23:59:59.123Z",
        "who": "Ada",
        "same": "Ada",
        "book": "My book",
        "answer": "Thanks",
    }


def test_the_body_is_exactly_what_it_gives_without_the_blanks_around() -> None:
    text = formats.render(
        "template", formats.FormatInput("comment.created", MOMENT, comment(), template='\n {"a":  1}\n ')
    )
    assert text == '{"a":  1}'


def test_a_template_that_writes_json_can_hold_any_text() -> None:
    hostile = '"}\\ \n</script> {{ 7 * 7 }} 🎈 \u2028'
    assert body("template", data=comment(hostile), template=GOOD) == {"text": f"Ada: {hostile}"}


def test_a_ping_has_a_sample_of_what_it_lacks_so_that_a_receiver_can_be_tried() -> None:
    data = EVENTS["ping"].sample_data() | {"webhook": {"id": "1", "name": "Mine"}}
    source = '{"a": {{ comment.name|tojson }}, "b": {{ webhook.name|tojson }}, "c": {{ event|tojson }}}'
    assert body("template", "ping", data, template=source) == {
        "a": EVENTS["comment.created"].sample_data()["comment"]["name"],
        "b": "Mine",
        "c": "ping",
    }


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (None, "The webhook has no template."),
        ("", "The webhook has no template."),
        ("{{ comment.name }", "Line 1 of the template: "),
        ('{"a": {{ source.name|tojson }}}', "The template asks for what this event does not have: "),
        ("{{ comment.name.__class__.__mro__|tojson }}", "The template "),
        (" {# nothing #} ", "The template does not give JSON: it gives nothing. For a text, write {{"),
        (
            '{"text": "{{ comment.message }}"}',
            "The template does not give JSON: Expecting ',' delimiter in line 1",
        ),
        ('{"n": NaN}', "The template does not give JSON: JSON has no number NaN."),
        ('{"a": 1} x', "The template does not give JSON: Extra data in line 1, column 10."),
        ("[" * 5000, "The template does not give JSON: "),
        (
            f'{{% set a = "{"é" * 5000}" %}}"{{{{ a ~ a ~ a ~ a ~ a ~ a ~ a ~ a }}}}"',
            "The template gives 80,002 bytes. Please let it give at most 60,000.",
        ),
        (f"{'{% for a in event %}' * 6}{'{% endfor %}' * 6}", "The template does too much"),
    ],
)
def test_what_gives_no_body_says_why_in_a_sentence(source: str | None, sentence: str) -> None:
    event = formats.FormatInput("comment.created", MOMENT, comment('say "hi"'), template=source)
    with pytest.raises(FormatError) as raised:
        formats.render("template", event)
    said = str(raised.value)
    assert said.startswith(sentence)
    assert said.endswith(".")


def test_what_nobody_can_foresee_is_not_tried() -> None:
    bodies.check_template(
        '{"x": {{ inbound.payload.repository.full_name|tojson }}}',
        ["inbound.received", "ping"],
        payload_versions.newest(),
    )
