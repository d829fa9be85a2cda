"""The format template: the owner's template makes the body, or a sentence says why it does not."""

import pytest

from guestbook.outbound import formats
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.outbound.formats import FormatError, bodies
from tests.outbound.formats.cases import MOMENT, body, comment

GOOD = '{"text": {{ (comment.name ~ ": " ~ comment.message)|tojson }}}'


def fault(source: str | None, event: str = "comment.created") -> str:
    with pytest.raises(FormatError) as raised:
        formats.render("template", formats.FormatInput(event, MOMENT, comment('say "hi"'), template=source))
    return str(raised.value)


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
    said = fault(source)
    assert said.startswith(sentence)
    assert said.endswith(".")


def test_what_nobody_can_foresee_is_not_tried() -> None:
    bodies.check_template(
        '{"x": {{ inbound.payload.repository.full_name|tojson }}}', ["inbound.received", "ping"]
    )
