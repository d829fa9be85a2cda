"""The API's calls for comments, events, the audit log and the document itself."""

from guestbook.web.api.api_call import AUDIT_QUERY, COMMENT_QUERY, COMMENT_SEARCH, EVENT_QUERY, Call

BOOK_CALLS = {
    "GET /openapi.json": Call("getDocument", "This document", {200: "Document"}, token="ignored"),
    "GET /comments": Call(
        "listComments",
        "List comments",
        {200: "Comments"},
        query=COMMENT_QUERY + COMMENT_SEARCH,
        token="optional",
    ),
    "POST /comments": Call(
        "createComment",
        "Add a comment: 201 when it is published, 202 when the owner reviews it first",
        {201: "Comment", 202: "Comment"},
        (403, 429),
        body="NewComment",
        token="ignored",
    ),
    "GET /comments/{comment_id}": Call("getComment", "Show a comment", {200: "Comment"}, token="optional"),
    "PATCH /comments/{comment_id}": Call(
        "updateComment",
        "Edit, moderate or reply to a comment",
        {200: "Comment"},
        body="CommentChanges",
        may_match=True,
    ),
    "DELETE /comments/{comment_id}": Call(
        "deleteComment", "Delete a comment for good", {204: None}, may_match=True
    ),
    "POST /moderate": Call(
        "moderateComments",
        "Publish, hold, restore or delete many comments, or mark them as spam",
        {200: "Moderated"},
        body="Moderation",
    ),
    "GET /events": Call(
        "listEventTypes",
        "List the events that webhooks can get",
        {200: "EventTypes"},
        query=EVENT_QUERY,
        token="ignored",
    ),
    "GET /events/{event_name}": Call(
        "getEventType", "Show an event with the JSON Schema of its body", {200: "EventType"}, token="ignored"
    ),
    "GET /audit": Call(
        "listAuditEntries", "List the entries of the audit log", {200: "AuditEntries"}, query=AUDIT_QUERY
    ),
}
