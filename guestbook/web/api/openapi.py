"""The OpenAPI document of the API; requests are checked against it."""

import re
from typing import Any

from guestbook.lib import VERSION
from guestbook.lib.json_schema import ID, JSON, TEXT, Schema, answer, headers, integer, one_of, ref, text
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.web import request_context
from guestbook.web.api import api_call, bins, comments, events, owner, queue, sources, statistics, webhooks
from guestbook.web.api.api_call import API_PATH, Answer, Call, Calls
from guestbook.web.api.idempotency import KEY_HEADER, KEY_LIMIT, KEY_PATTERN
from guestbook.web.error_pages import ERROR_TEXTS, InsufficientScope

API_DESCRIPTION = (
    "Everybody may read published comments and the events, and add a comment. Everything else needs a "
    "token, sent as `Authorization: Bearer gbk_…`; the owner creates it on the account page. "
    "A token has a scope: `read` allows every GET, `moderate` also allows editing, replying to and deleting "
    "comments, and `manage` allows everything. Passwords, logins and new tokens stay on the account page, so "
    "that a stolen token cannot lock the owner out. "
    "Times are in UTC. Lists are newest first; `next` is the address of the next page."
)
TAG_DESCRIPTIONS = {
    "comments": "Comments of visitors: read, add, moderate, reply.",
    "webhooks": "URLs that receive the book's events, and receivers that fetch them.",
    "deliveries": "Events sent to webhooks, with every attempt.",
    "sources": "Services that send webhooks to the book.",
    "inbox": "Events that the book received.",
    "bins": "URLs that catch any request, and what arrived.",
    "settings": "The settings of the book, its look and its moderation.",
    "statistics": "How the book, its webhooks and its sources are doing.",
    "spam": "Refused comments, floods, and the learned score.",
    "previews": "Presets, and the result of a webhook's or a source's settings, before anything is saved.",
    "tokens": "The tokens of the API.",
    "doctor": "Problems of the book, with advice.",
    "events": "The events that webhooks get, each with its JSON Schema.",
    "audit": "The audit log: changes of settings, webhooks and the like, and logins.",
    "document": "This description of the API.",
}
ERROR_DESCRIPTIONS = {
    400: "The body is not JSON, an object in it repeats a name, or `Idempotency-Key` has a wrong form.",
    401: "The token is missing, wrong or expired.",
    403: "The token's scope is too small (`insufficient_scope`), or the book is closed for new comments.",
    404: "Nothing has this id, or you may not see it.",
    409: "It cannot be done in the present state, and the message says why: a pass is working on it now, "
    "say, or a request with the same `Idempotency-Key` is still running.",
    412: "It is not the version whose `ETag` you sent in `If-Match`.",
    413: "The body is too long.",
    415: "The Content-Type is not application/json, or the body is compressed.",
    422: "The request has errors; `fields` has a sentence for each wrong field.",
    429: "This token has made too many requests, or this network has written too many comments or typed too "
    "many wrong passwords; `Retry-After` is the wait in seconds.",
    503: "The database cannot be reached at the moment.",
}
ANSWER_DESCRIPTIONS = ERROR_DESCRIPTIONS | {
    304: "The answer is still the one whose `ETag` you sent in `If-None-Match`."
}
# First part of a path → tag, where they differ.
TAGS = {"redeliver": "deliveries", "reprocess": "inbox", "moderate": "comments", "presets": "previews"}
# The variables of paths that are no ids.
PATH_SCHEMAS = {"event_name": one_of(*EVENTS)}
WHO_MAY = {
    "needed": "It needs a token with the scope `{}`.",
    "optional": "Everybody may call it. A token with the scope `{}` shows more.",
    "ignored": "Everybody may call it, and a token makes no difference.",
}
VARIABLES = {  # schema of an answer → variable of paths that is its id
    "Comment": "comment_id",
    "WebhookWithSecret": "webhook_id",
    "SourceWithSecret": "source_id",
    "Bin": "bin_id",
    "Delivery": "delivery_id",
    "InboundEvent": "event_id",
}
IF_MATCH = {"If-Match": text("The `ETag` that you have read. If it changed since, the answer is 412.")}
IDEMPOTENCY_KEY = {
    KEY_HEADER: text(
        "Your string for this request, such as a UUID in double quotes. If you repeat the request with it "
        "within 24 hours, you get the first answer, and nothing changes.",
        pattern=KEY_PATTERN,
        maxLength=KEY_LIMIT,
    )
}
BODY_ERRORS = (400, 413, 415, 422)
RATE_LIMIT_HEADERS: dict[str, Any] = {
    "RateLimit-Policy": {
        "schema": TEXT,
        "description": 'Each limit with its quota and its window in seconds, such as `"token";q=6000;w=60`.',
    },
    "RateLimit": {
        "schema": TEXT,
        "description": 'The rest of each quota, and for how many seconds, such as `"token";r=5999;t=60`.',
    },
}
ANSWER_HEADERS = {
    304: {"ETag": {"required": True, "schema": TEXT}},
    201: {"Location": {"required": True, "schema": TEXT}},
    429: {**RATE_LIMIT_HEADERS, "Retry-After": {"required": True, "schema": integer(minimum=1)}},
}

ERROR = answer(
    code=one_of(*(words.code for words in ERROR_TEXTS.values()), InsufficientScope.code_word),
    message=TEXT,
    fields=headers("A sentence for each wrong field."),
    request_id=text("The request's number in the owner's log."),
    optional=("fields",),
)

calls = Calls("document", Document={"type": "object"}, Error=answer(error=ERROR))


@calls.serve("GET /openapi.json", {200: "Document"}, token="ignored")
def get_document() -> Answer:
    """This document."""
    return build(f"{request_context.settings().base_url}{API_PATH}")


SUBJECTS = (
    *(calls, comments.calls, webhooks.calls, queue.calls, sources.calls, bins.calls),
    *(owner.calls, statistics.calls, sources.preview_calls, events.calls),
)
CALLS = {call.address: call for subject in SUBJECTS for call in subject.described.values()}
SCHEMAS = {name: schema for subject in SUBJECTS for name, schema in subject.schemas.items()}


def build(server: str) -> dict[str, Any]:
    """Return the whole document; `server` is the absolute address of the API."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Guestbook",
            "version": VERSION,
            "description": API_DESCRIPTION,
            "contact": {"name": "The owner of this guestbook", "url": server.removesuffix(API_PATH)},
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": server}],
        "tags": [{"name": name, "description": words} for name, words in TAG_DESCRIPTIONS.items()],
        "paths": paths(),
        "webhooks": events.WEBHOOK_REQUESTS,
        "components": {
            "schemas": SCHEMAS,
            "parameters": events.HEADER_PARAMETERS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(call: Call) -> dict[str, Any]:
    """Describe a call; its tag is the first part of the path."""
    address, token = call.address, {"token": [call.scope]}
    noun = address.split("/")[1]
    security = {"needed": [token], "optional": [{}, token], "ignored": []}[call.token]
    errors = {*call.errors, 422, 503, *(() if address.startswith("GET ") else BODY_ERRORS)}
    errors |= ({401, 403, 429} if security else set()) | ({404} if "{" in address else set())
    errors |= ({412} if call.may_match else set()) | ({409} if address.startswith("POST ") else set())
    unchanged: dict[int, str | None] = {304: None} if address.startswith("GET ") else {}
    answers = call.answers | unchanged | dict.fromkeys(sorted(errors), "Error")
    shown: dict[str, Any] = {
        "tags": [noun if noun in TAG_DESCRIPTIONS else TAGS.get(noun, "document")],
        "operationId": call.name,
        "summary": call.summary,
        "description": WHO_MAY[call.token].format(call.scope),
        "security": security,
        "responses": {str(status): _answer(status, schema) for status, schema in answers.items()},
    }
    in_header = IF_MATCH if call.may_match else IDEMPOTENCY_KEY if address.startswith("POST ") else {}
    if parameters := api_call.parameters("query", call.query) + api_call.parameters("header", in_header):
        shown["parameters"] = parameters
    if call.body:
        shown["requestBody"] = {"required": call.needs_body, **_content(call.body)}
    return shown


def _content(schema: str) -> dict[str, Any]:
    return {"content": {JSON: {"schema": ref(schema)}}}


def _answer(status: int, schema: str | None) -> dict[str, Any]:
    shown: dict[str, Any] = {"description": ANSWER_DESCRIPTIONS.get(status, "Done.")}
    shown |= _content(schema) if schema else {}
    shown |= {"headers": ANSWER_HEADERS[status]} if status in ANSWER_HEADERS else {}
    made = VARIABLES.get(schema or "") if status in (201, 202) else None
    if made:  # The calls that take the id of what it shows, and nothing else from a path.
        names = [call.name for address, call in CALLS.items() if re.findall("{(.*?)}", address) == [made]]
        parameters = {made: "$response.body#/id"}
        shown["links"] = {name: {"operationId": name, "parameters": parameters} for name in names}
    return shown


def paths() -> dict[str, dict[str, Any]]:
    """Return the calls by their paths."""
    found: dict[str, dict[str, Any]] = {}
    for address, call in CALLS.items():
        method, path = address.split()
        shapes: Schema = {}
        for name in re.findall("{([a-z_]+)}", path):
            what = f"The {name.replace('_', ' ')}, as the list shows it."
            shapes[name] = {**PATH_SCHEMAS.get(name, ID), "description": what}
        in_path = {"parameters": api_call.parameters("path", shapes, required=True)} if shapes else {}
        item = found.setdefault(path, in_path)
        item[method.lower()] = _operation(call)
    return found
