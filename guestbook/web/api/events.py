"""The events that webhooks can get: /events, and the section `webhooks` of the OpenAPI document."""

from typing import Any

from flask import abort

from guestbook.lib import json_schema as schema
from guestbook.lib.json_schema import JSON, JSON_SCHEMA_DIALECT, Schema
from guestbook.outbound import event_catalogue, payload_versions
from guestbook.outbound.event_catalogue import EVENTS, EventType
from guestbook.queries.filtered_lists import RowPage
from guestbook.web.api import request_reader, row_calls
from guestbook.web.api.api_call import FULL_PAGE_QUERY, Answer, Calls, list_of, parameters

EVENT_QUERY = {
    "limit": FULL_PAGE_QUERY["limit"],
    "before": schema.one_of(*EVENTS, description="Only the events that follow this one in the list."),
}

RECEIVED_HEADERS: Schema = {
    "webhook-id": schema.text("The event's id, the same for all attempts. Ignore an id that you have seen."),
    "webhook-timestamp": schema.number("When this attempt was made, in seconds since 1970."),
    "webhook-signature": schema.text(
        "`v1,` and the base64 of an HMAC-SHA256, as Standard Webhooks 1.0.0 has it. There are two, separated "
        "by a space, while an old secret is still valid."
    ),
    "X-Hub-Signature-256": schema.text("The signature in GitHub's form."),
    "X-Guestbook-Event": schema.one_of(*EVENTS, description="The name of the event."),
    "X-Guestbook-Attempt": schema.integer("The number of this attempt.", minimum=1),
    "X-Guestbook-Version": schema.text("The version of the body's shape: a date."),
}
HEADER_PARAMETERS = {one["name"]: one for one in parameters("header", RECEIVED_HEADERS, required=True)}
PAUSED = "The event is sent again. The webhook pauses for `Retry-After`, a day at the most."
RECEIVER_ANSWERS = {
    "2XX": "The event is delivered.",
    "410": "The webhook is disabled. Its deliveries wait until the owner enables it.",
    "429": PAUSED,
    "503": PAUSED,
    "default": "The event is sent again by the retry schedule, then given up. Redirects are not followed.",
}
EVENT_TYPE_SCHEMA: Schema = {
    "name": schema.one_of(*EVENTS, description="As in the body's `type`."),
    "when": schema.text("When it is sent: the end of a sentence."),
    "since": schema.text("The first version of the guestbook that sends it."),
    "version": schema.text("The newest version of payloads: a date. The schema is its."),
    "schema": {"type": "object", "description": "The JSON Schema of the body in the format json."},
    "example": {"type": "object", "description": "A sample of such a body."},
}
EVENT_SCHEMAS: dict[str, Schema] = {
    **{event.type_name: event.schema(schema.ref) for event in EVENTS.values()},
    **{name: part.titled() for name, part in event_catalogue.types().items()},
    "EventType": schema.answer(EVENT_TYPE_SCHEMA),
    "EventTypes": list_of("events", "EventType"),
}


def _request(event: EventType) -> dict[str, Any]:
    content = {JSON: {"schema": schema.ref(event.type_name), "example": event.example()}}
    return {
        "tags": ["events"],
        "operationId": f"on{event.type_name.removesuffix('Event')}",
        "summary": f"Sent when {event.when}",
        "description": f"This is the body of the format json, version {payload_versions.newest()}. "
        "Check the signature before you use it.",
        "security": [],
        "parameters": [{"$ref": f"#/components/parameters/{name}"} for name in HEADER_PARAMETERS],
        "requestBody": {"required": True, "content": content},
        "responses": {status: {"description": words} for status, words in RECEIVER_ANSWERS.items()},
    }


WEBHOOK_REQUESTS = {event.name: {"post": _request(event)} for event in EVENTS.values()}

calls = Calls("events", **EVENT_SCHEMAS)


@calls.serve("GET /events", {200: "EventTypes"}, query=EVENT_QUERY, token="ignored")
def list_event_types() -> Answer:
    """List the events that webhooks can get."""
    query, names = request_reader.query(), list(EVENTS)
    first = names.index(query["before"]) + 1 if "before" in query else 0
    last = first + query["limit"]
    older = names[last - 1] if last < len(names) else None
    page = RowPage([EVENTS[name] for name in names[first:last]], older)
    return row_calls.page("events", page, _event_type)


@calls.serve("GET /events/{event_name}", {200: "EventType"}, token="ignored")
def get_event_type(event_name: str) -> Answer:
    """Show an event with the JSON Schema of its body."""
    if event_name not in EVENTS:
        abort(404, f"There is no such event. The events are {', '.join(EVENTS)}.")
    return _event_type(EVENTS[event_name])


def _event_type(event: EventType) -> dict[str, Any]:
    """Return an event of the catalogue, with a schema that needs no other document."""
    shape = {"$schema": JSON_SCHEMA_DIALECT, **event.schema()}
    more = {"version": payload_versions.newest(), "schema": shape, "example": event.example()}
    return schema.of_row(event, EVENT_TYPE_SCHEMA, more)
