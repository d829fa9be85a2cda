"""Sample events of known senders, to try a template before a real one comes. Pure."""

import json
from typing import Any

Sample = tuple[dict[str, str], bytes]  # headers, their names in lower case, and body

_LIGHTHOUSE = "https://github.com/ada/lighthouse"
_REPO = {"full_name": "ada/lighthouse", "html_url": _LIGHTHOUSE}
_ADA = {"login": "ada", "html_url": "https://github.com/ada"}
_HOME = "https://other.example/comments/0198c0ffee0000000000000000000001"


def of(verify: str) -> list[Sample]:
    """Return samples of a sender of that kind."""
    return list(_SAMPLES.get(verify, _PLAIN_EVENTS))


def _json(payload: dict[str, Any], **headers: str) -> Sample:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"content-type": "application/json", **named}, json.dumps(payload).encode()


def _github(event: str, **payload: Any) -> Sample:
    return _json({**payload, "repository": _REPO, "sender": _ADA}, x_github_event=event)


def _numbered(part: str, number: int, title: str, **more: Any) -> dict[str, Any]:
    url = f"{_LIGHTHOUSE}/{part}/{number}"
    return {"number": number, "title": title, "html_url": url, **more}


_GITHUB = (
    _github("issues", action="opened", issue=_numbered("issues", 7, "The lamp flickers")),
    _github(
        "push",
        ref="refs/heads/main",
        commits=[{"message": "Trim the wick\n\nIt was too long."}, {"message": "Polish the lens"}],
        compare=f"{_LIGHTHOUSE}/compare/1…2",
    ),
    _github(
        "pull_request",
        action="closed",
        pull_request=_numbered("pull", 8, "A brighter lamp", merged=True),
    ),
    _github(
        "release",
        action="published",
        release={"name": "1.0", "html_url": f"{_LIGHTHOUSE}/releases/1.0"},
    ),
    _github("star", action="created"),
    _github(
        "issue_comment",
        action="created",
        issue=_numbered("issues", 7, "The lamp flickers"),
        comment={"body": "It is the wick.", "html_url": f"{_LIGHTHOUSE}/issues/7#issuecomment-1"},
    ),
    _github("discussion", action="created", discussion=_numbered("discussions", 9, "Which oil is best?")),
    _github(
        "pull_request_review",
        action="submitted",
        review={"state": "approved", "body": "It shines.", "html_url": f"{_LIGHTHOUSE}/pull/8#review"},
        pull_request=_numbered("pull", 8, "A brighter lamp"),
    ),
    _github(
        "fork", forkee={"full_name": "grace/lighthouse", "html_url": "https://github.com/grace/lighthouse"}
    ),
    _github(
        "sponsorship",
        action="created",
        sponsorship={"privacy_level": "public", "sponsorable": {"login": "lighthouse"}},
    ),
    _github(
        "workflow_run",
        action="completed",
        workflow_run={
            "name": "Tests",
            "run_number": 12,
            "head_branch": "main",
            "conclusion": "failure",
            "html_url": f"{_LIGHTHOUSE}/actions/runs/12",
        },
    ),
    _github(
        "deployment_status",
        action="created",
        deployment_status={"state": "success", "environment": "production", "target_url": ""},
    ),
)
_GITLAB = _json(
    {
        "object_kind": "issue",
        "user": {"name": "Grace", "username": "grace"},
        "project": {"path_with_namespace": "ada/lighthouse", "web_url": "https://gitlab.com/ada/lighthouse"},
        "object_attributes": {
            "iid": 7,
            "title": "The lamp flickers",
            "action": "open",
            "url": "https://gitlab.com/ada/lighthouse/-/issues/7",
        },
    }
)
_SHOPIFY = _json(
    {"customer": {"first_name": "Grace"}, "line_items": [{"title": "A lantern"}, {"title": "A wick"}]},
    x_shopify_topic="orders/create",
)
_DISCORD = _json(
    {
        "type": 2,
        "member": {"user": {"username": "grace", "global_name": "Grace"}},
        "data": {"name": "sign", "options": [{"name": "message", "value": "Hello from Discord"}]},
    }
)
_GUESTBOOK_EVENT = _json(
    {
        "type": "comment.published",
        "timestamp": "2026-01-31T23:59:59.123Z",
        "data": {
            "comment": {
                "id": "0198c0ffee0000000000000000000001",
                "name": "Grace",
                "website": None,
                "message": "We came by on the way to the lighthouse.",
                "status": "published",
                "url": _HOME,
                "created_at": "2026-01-31T23:59:59.123Z",
            },
            "guestbook": {"title": "The other book", "url": "https://other.example"},
        },
    },
    x_guestbook_event="comment.published",
)
_STRIPE = _json(
    {
        "id": "evt_1",
        "type": "checkout.session.completed",
        "data": {
            "object": {
                "amount_total": 500,
                "currency": "eur",
                "payment_status": "paid",
                "customer_details": {"name": "Grace Hopper"},
            }
        },
    }
)
_SLACK = _json(
    {
        "type": "event_callback",
        "event_id": "Ev1",
        "event": {"type": "message", "user": "U1", "channel": "C1", "text": "Hello from the harbour"},
    }
)
_PLAIN_EVENTS = (
    _json({"name": "Grace", "website": "https://grace.example", "message": "Hello from a script"}),
)
_SAMPLES = {
    "github": _GITHUB,
    "standard": (_GUESTBOOK_EVENT,),
    "stripe": (_STRIPE,),
    "slack": (_SLACK,),
    "hmac": (_SHOPIFY, *_GITHUB, *_PLAIN_EVENTS),
    "ed25519": (_DISCORD, *_PLAIN_EVENTS),
    "token": (_GITLAB, *_PLAIN_EVENTS),
}
