"""The OpenAPI document of the API; requests are checked against it."""

import re
from typing import Any

from guestbook.lib.version import VERSION
from guestbook.web.api import query_parameters, schemas, scopes
from guestbook.web.api.json_schema import Schema, ref

API_PATH = "/api/v1"
JSON = "application/json"
TOKEN_SECURITY: list[Any] = [{"token": []}]
OPTIONAL_TOKEN: list[Any] = [{}, {"token": []}]
API_DESCRIPTION = (
    "Everybody may read published comments and add one. Everything else needs a token, sent as "
    "`Authorization: Bearer gbk_…`; the owner creates it on the account page. "
    f"{scopes.SCOPES_DESCRIPTION} "
    "Times are in UTC. Lists are newest first; `next` is the address of the next page."
)
TAG_DESCRIPTIONS = {
    "comments": "Comments of visitors: read, add, moderate, reply.",
    "webhooks": "URLs that receive the book's events.",
    "deliveries": "Events sent to webhooks, with every attempt.",
    "inbox": "Events that the book received.",
    "document": "This description of the API.",
}
LICENCE = {"name": "MIT", "identifier": "MIT"}
ERROR_DESCRIPTIONS = {
    400: "The body is not JSON, or an object in it repeats a name.",
    401: "The token is missing, wrong or expired.",
    403: "The token's scope is too small (`insufficient_scope`), or the book is closed for new comments.",
    404: "Nothing has this id, or you may not see it.",
    409: "A pass is working on it now.",
    413: "The body is too long.",
    415: "The Content-Type is not application/json.",
    422: "The request has errors; `fields` has a sentence for each wrong field.",
    429: "This network has written too many comments; `Retry-After` is the wait in seconds.",
    503: "The database cannot be reached at the moment.",
}
BODY_ERRORS = (400, 413, 415, 422)


def build(server: str) -> dict[str, Any]:
    """Return the whole document; `server` is the absolute address of the API."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Guestbook",
            "version": VERSION,
            "description": API_DESCRIPTION,
            "license": LICENCE,
        },
        "servers": [{"url": server}],
        "tags": [{"name": name, "description": words} for name, words in TAG_DESCRIPTIONS.items()],
        "paths": PATHS,
        "components": {
            "schemas": schemas.REQUEST_SCHEMAS | schemas.ANSWER_SCHEMAS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def operation(path: str, method: str) -> dict[str, Any]:
    """Return the description of a method at a path such as `/comments/{comment_id}`."""
    found: dict[str, Any] = PATHS[path][method.lower()]
    return found


def body_of(operation: dict[str, Any]) -> tuple[Schema, bool]:
    """Return the schema of an operation's body, and whether a body is required."""
    body = operation["requestBody"]
    name = body["content"][JSON]["schema"]["$ref"].rpartition("/")[2]
    return schemas.REQUEST_SCHEMAS[name], body["required"]


def _operation(
    name: str,
    summary: str,
    good: dict[int, str | None],
    *wrong: int,
    body: str | None = None,
    optional: bool = False,
    query: tuple[dict[str, Any], ...] = (),
    security: list[Any] = TOKEN_SECURITY,
    headers: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Describe an operation: its name, its answers, its errors, its body and its query."""
    answers = {
        str(status): _answer(schema, headers if status == 201 else ()) for status, schema in good.items()
    }
    errors = {*wrong, 503, *(BODY_ERRORS if body else ()), *((422,) if query else ())}
    errors |= {401, 403} if security else set()
    described: dict[str, Any] = {
        "operationId": name,
        "summary": summary,
        "security": security,
        "responses": answers,
    }
    answers.update({str(status): _error(status) for status in sorted(errors)})
    if query:
        described["parameters"] = list(query)
    if body:
        described["requestBody"] = {"required": not optional, "content": {JSON: {"schema": ref(body)}}}
    return described


def _completed(path: str, item: dict[str, Any]) -> dict[str, Any]:
    """Add the parameters of the path, and each operation's tag (the first part of the path) and scope."""
    noun = path.split("/")[1]
    tag = noun if noun in TAG_DESCRIPTIONS else "document"
    names = re.findall("{([a-z_]+)}", path)
    completed: dict[str, Any] = {"parameters": [_in_path(name) for name in names]} if names else {}
    for method, described in item.items():
        scope = {"token": [scopes.needed(path, method)]}
        security = [scope if one else {} for one in described["security"]]
        completed[method] = {"tags": [tag], **described, "security": security}
    return completed


def _answer(schema: str | None, headers: tuple[str, ...]) -> dict[str, Any]:
    if schema is None:
        return {"description": "Done."}
    answer: dict[str, Any] = {"description": "Done.", "content": {JSON: {"schema": ref(schema)}}}
    if headers:
        answer["headers"] = {name: {"required": True, "schema": schemas.TEXT_SCHEMA} for name in headers}
    return answer


def _error(status: int) -> dict[str, Any]:
    error = {"description": ERROR_DESCRIPTIONS[status], "content": {JSON: {"schema": ref("Error")}}}
    if status == 429:
        error["headers"] = {"Retry-After": {"required": True, "schema": {"type": "integer", "minimum": 1}}}
    return error


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": schemas.ID_SCHEMA}


CALLS: dict[str, dict[str, Any]] = {
    "/openapi.json": {"get": _operation("getDocument", "This document", {200: "Document"}, security=[])},
    "/comments": {
        "get": _operation(
            "listComments",
            "List comments",
            {200: "Comments"},
            query=query_parameters.COMMENT_QUERY,
            security=OPTIONAL_TOKEN,
        ),
        "post": _operation(
            "createComment",
            "Add a comment: 201 when it is published, 202 when the owner reviews it first",
            {201: "Comment", 202: "Comment"},
            403,
            429,
            body="NewComment",
            security=[],
            headers=("Location",),
        ),
    },
    "/comments/{comment_id}": {
        "get": _operation("getComment", "Show a comment", {200: "Comment"}, 404, security=OPTIONAL_TOKEN),
        "patch": _operation(
            "updateComment",
            "Edit, moderate or reply to a comment",
            {200: "Comment"},
            404,
            body="CommentChanges",
        ),
        "delete": _operation("deleteComment", "Delete a comment for good", {204: None}, 404),
    },
    "/webhooks": {
        "get": _operation("listWebhooks", "List the webhooks", {200: "Webhooks"}),
        "post": _operation(
            "createWebhook",
            "Add a webhook",
            {201: "WebhookWithSecret"},
            body="NewWebhook",
            headers=("Location",),
        ),
    },
    "/webhooks/{webhook_id}": {
        "get": _operation("getWebhook", "Show a webhook", {200: "Webhook"}, 404),
        "patch": _operation(
            "updateWebhook",
            "Change a webhook; other fields stay",
            {200: "Webhook"},
            404,
            body="WebhookChanges",
        ),
        "delete": _operation("deleteWebhook", "Delete a webhook with all its deliveries", {204: None}, 404),
    },
    "/webhooks/{webhook_id}/test": {
        "post": _operation("testWebhook", "Send a ping with the next pass", {202: "Delivery"}, 404),
    },
    "/webhooks/{webhook_id}/rotate-secret": {
        "post": _operation(
            "rotateWebhookSecret",
            "Rotate the secret; the old one also signs for some hours",
            {200: "WebhookWithSecret"},
            404,
            body="Rotation",
            optional=True,
        ),
    },
    "/deliveries": {
        "get": _operation(
            "listDeliveries", "List deliveries", {200: "Deliveries"}, query=query_parameters.DELIVERY_QUERY
        )
    },
    "/deliveries/{delivery_id}": {
        "get": _operation(
            "getDelivery", "Show a delivery with its attempts", {200: "DeliveryWithAttempts"}, 404
        ),
    },
    "/deliveries/{delivery_id}/redeliver": {
        "post": _operation("redeliver", "Redeliver with the next pass", {202: "Delivery"}, 404, 409),
    },
    "/inbox": {
        "get": _operation(
            "listInboundEvents",
            "List inbound events",
            {200: "InboundEvents"},
            query=query_parameters.INBOX_QUERY,
        )
    },
    "/inbox/{event_id}": {
        "get": _operation(
            "getInboundEvent",
            "Show an inbound event with its payload and how it was verified",
            {200: "InboundEventInFull"},
            404,
        ),
    },
    "/inbox/{event_id}/reprocess": {
        "post": _operation(
            "reprocessInboundEvent", "Reprocess with the next pass", {202: "InboundEvent"}, 404, 409
        ),
    },
}

PATHS = {path: _completed(path, item) for path, item in CALLS.items()}
