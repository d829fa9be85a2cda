"""Templates that were saved when all of Jinja was there: they go on working, or say what to change."""

from contextvars import Context

import pytest
from flask import Flask
from flask.testing import FlaskClient

from guestbook.lib import clock
from guestbook.queue import redelivery
from guestbook.storage import database
from guestbook.storage.models import InboundEvent
from tests.support import inbound_factories
from tests.support.factories import inbound_events
from tests.support.owner import Owner

MACRO = "{% macro who(x) %}{{ x }}{% endmacro %}{{ who(payload.text) }}"
SENTENCE = (
    "Line 1 of the template: templates here have no macro. Write what it gives where it is called, or set a "
    "name to a text."
)


def test_an_event_fails_with_what_to_write_instead_and_works_when_the_template_is_changed(
    app: Flask, client: FlaskClient
) -> None:
    source_id = inbound_factories.source(template=MACRO)
    inbound_factories.post(client, {"text": "Hello"})
    inbound_factories.process(app)
    assert (inbound_factories.row().status, inbound_factories.row().error) == ("failed", SENTENCE)
    inbound_factories.change(source_id, template="{{ payload.text }}")
    with database.writing() as session:
        redelivery.make_due(session, InboundEvent, [inbound_events()[0].id], clock.now())
    inbound_factories.process(app)
    assert (inbound_factories.row().status, inbound_factories.messages()) == ("processed", ["Hello"])


def test_the_admin_pages_show_it_and_ask_for_another_one(app: Flask, client: FlaskClient) -> None:
    source_id = inbound_factories.source(template=MACRO)
    inbound_factories.post(client, {"text": "Hello"})
    inbound_factories.process(app)
    event_id, owner = inbound_factories.row().id, Owner(app)
    Context().run(owner.log_in)
    assert "templates here have no macro" in Context().run(owner.client.get, f"/admin/inbox/{event_id}").text
    form = {"name": "Robot", "verify": "none", "action": "comment", "template": MACRO}
    saved = Context().run(owner.post, f"/admin/sources/{source_id}", form)
    assert saved.status_code == 422
    assert "templates here have no macro" in saved.text


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ payload.text.strip().upper() }}", "HELLO"),
        (
            "{% set name = 'Z' %}{% for one in payload.list if one %}{{ loop.index }}{{ one }} {% endfor %}",
            "1a 2b",
        ),
        ("{% if payload.text is string %}{{ payload.text|replace('l', 'L') ~ '!' }}{% endif %}", "HeLLo!"),
        ("{{ payload.list[:1]|join(', ') }} {{ (payload.none or {}).x or 'nobody' }}", "a nobody"),
    ],
)
def test_one_that_means_the_same_goes_on_working(
    app: Flask, client: FlaskClient, template: str, message: str
) -> None:
    inbound_factories.source(template=template)
    inbound_factories.post(client, {"text": "Hello", "list": ["a", "", "b"], "none": None})
    inbound_factories.process(app)
    assert inbound_factories.messages() == [message]
