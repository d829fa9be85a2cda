"""The section `webhooks` of the OpenAPI document: the request for each event, and what answers mean."""

from typing import Any

from guestbook.lib.json_schema import JSON, NUMBER_SCHEMA, TEXT_SCHEMA, Schema, answer, described, one_of, ref
from guestbook.outbound import event_catalogue
from guestbook.outbound.event_catalogue import EVENTS, EventType
from guestbook.web.api.schemas import list_of

RECEIVED_HEADERS: dict[str, tuple[Schema, str]] = {
    "webhook-id": (
        TEXT_SCHEMA,
        "The id of the event, the same for all attempts. Ignore an id that you have seen.",
    ),
    "webhook-timestamp": (NUMBER_SCHEMA, "When this attempt was made, in seconds since 1970."),
    "webhook-signature": (
        TEXT_SCHEMA,
        "`v1,` and the base64 of an HMAC-SHA256, as Standard Webhooks 1.0.0 has it. There are two, separated "
        "by a space, while an old secret is still valid.",
    ),
    "X-Hub-Signature-256": (TEXT_SCHEMA, "The signature in GitHub's form."),
    "X-Guestbook-Event": (one_of(*EVENTS), "The name of the event."),
    "X-Guestbook-Attempt": ({"type": "integer", "minimum": 1}, "The number of this attempt."),
}
HEADER_PARAMETERS = {
    name: {"name": name, "in": "header", "required": True, "schema": schema, "description": words}
    for name, (schema, words) in RECEIVED_HEADERS.items()
}
PAUSED = "The event is sent again. The webhook pauses for `Retry-After`, a day at the most."
RECEIVER_ANSWERS = {
    "2XX": "The event is delivered.",
    "410": "The webhook is disabled. Its deliveries wait until the owner enables it.",
    "429": PAUSED,
    "503": PAUSED,
    "default": "The event is sent again by the retry schedule, then given up. Redirects are not followed.",
}
EVENT_TYPE_SCHEMA: Schema = {
    "name": one_of(*EVENTS, description="As in the body's `type`."),
    "when": described(TEXT_SCHEMA, "When it is sent: the end of a sentence."),
    "since": described(TEXT_SCHEMA, "The first version of the guestbook that sends it."),
    "schema": {"type": "object", "description": "The JSON Schema of the body in the format json."},
    "example": {"type": "object", "description": "A sample of such a body."},
}
EVENT_SCHEMAS: dict[str, Schema] = {
    **{event.type_name: event.schema(ref) for event in EVENTS.values()},
    **{name: part.titled() for name, part in event_catalogue.types().items()},
    "EventType": answer(EVENT_TYPE_SCHEMA),
    "EventTypes": list_of("events", "EventType"),
}


def _request(event: EventType) -> dict[str, Any]:
    content = {JSON: {"schema": ref(event.type_name), "example": event.example()}}
    return {
        "tags": ["events"],
        "operationId": f"on{event.type_name.removesuffix('Event')}",
        "summary": f"Sent when {event.when}",
        "description": "This is the body of the format json. Check the signature before you use it.",
        "security": [],
        "parameters": [{"$ref": f"#/components/parameters/{name}"} for name in HEADER_PARAMETERS],
        "requestBody": {"required": True, "content": content},
        "responses": {status: {"description": words} for status, words in RECEIVER_ANSWERS.items()},
    }


WEBHOOK_REQUESTS = {event.name: {"post": _request(event)} for event in EVENTS.values()}
