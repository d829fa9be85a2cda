"""Payloads as GitHub sends them, made up here: short, with hostile text wherever a stranger may put some."""

from typing import Any

SCRIPT = "<script>alert(1)</script>"
IMAGE = '"><img src=x onerror=alert(1)>'
LINK = "[click](javascript:alert(1))"
BRACES = "{{ 7*7 }}{% for x in y %}"
TURNED = "\u202egnp.exe\u202c \u2066inner\u2069"  # characters that turn the direction of what follows
HOSTILE = (SCRIPT, IMAGE, LINK, BRACES, TURNED)

Payload = dict[str, Any]


def _user(login: str) -> Payload:
    return {"login": login, "id": 4711, "type": "User", "html_url": f"https://github.example/{login}"}


ADA = _user("ada")
MALLORY = {**_user(f"mallory{SCRIPT}"), "html_url": "javascript:alert(1)//"}
REPOSITORY: Payload = {
    "id": 99,
    "name": "engine",
    "full_name": "ada/engine",
    "private": False,
    "owner": ADA,
    "html_url": "https://github.example/ada/engine",
    "description": f"Sums {SCRIPT} and {BRACES}",
    "default_branch": "main",
}
HOME = REPOSITORY["html_url"]


def _event(sender: Payload = MALLORY, **fields: Any) -> Payload:
    return {**fields, "repository": REPOSITORY, "sender": sender}


def _commit(number: int, message: str) -> Payload:
    return {
        "id": f"{number:040x}",
        "message": message,
        "url": f"{HOME}/commit/{number:040x}",
        "author": {"name": f"Ada {SCRIPT}", "email": "ada@github.example", "username": "ada"},
        "added": [f"{IMAGE}.txt"],
        "removed": [],
        "modified": [],
    }


def _thing(number: int, title: str, kind: str, **more: Any) -> Payload:
    plain = {"number": number, "html_url": f"{HOME}/{kind}/{number}", "body": " ".join(HOSTILE)}
    return {**plain, "title": title, "user": MALLORY, **more}


_PUSH = {
    "ref": f"refs/heads/{BRACES}",
    "before": f"{1:040x}",
    "after": f"{7:040x}",
    "created": False,
    "deleted": False,
    "compare": f"{HOME}/compare/1...7",
    "commits": [_commit(number, f"Mend {text}\n\nand more") for number, text in enumerate(HOSTILE, 2)],
}
_TAG = {
    "ref": "refs/tags/v1.0",
    "before": "0" * 40,
    "after": f"{7:040x}",
    "created": True,
    "deleted": False,
    "compare": f"{HOME}/compare/v1.0",
    "commits": [],
}
_COMMENT = {"id": 5, "body": " ".join(HOSTILE), "user": MALLORY, "html_url": f"{HOME}/issues/3#comment-5"}
_RELEASE = {"tag_name": "v1.0", "name": f"Grüße {IMAGE}", "body": SCRIPT, "html_url": "javascript:alert(2)"}
_HOOK = {"type": "Repository", "id": 1, "active": True, "events": ["*"], "config": {"content_type": "json"}}

# The event, as in X-GitHub-Event, and the payload.
PAYLOADS: tuple[tuple[str, Payload], ...] = (
    ("ping", _event(ADA, zen=f"Speak {LINK}", hook_id=1, hook=_HOOK)),
    ("push", _event(**_PUSH, pusher={"name": "ada", "email": "ada@github.example"})),
    ("push", _event(ADA, **_TAG, pusher={"name": "ada", "email": None})),
    ("issues", _event(action="opened", issue=_thing(3, f"Broken {SCRIPT} {TURNED}", "issues"))),
    ("issues", _event(ADA, action="closed", issue=_thing(4, f"{LINK} {BRACES}", "issues", body=None))),
    ("issues", _event(action="labeled", issue=_thing(4, IMAGE, "issues"), label={"name": SCRIPT})),
    ("issue_comment", _event(action="created", issue=_thing(3, SCRIPT, "issues"), comment=_COMMENT)),
    ("pull_request", _event(action="opened", number=8, pull_request=_thing(8, " ".join(HOSTILE), "pull"))),
    ("pull_request", _event(ADA, action="closed", pull_request=_thing(8, IMAGE, "pull", merged=True))),
    ("release", _event(action="published", release=_RELEASE)),
    ("star", _event(action="created", starred_at="2026-01-31T23:59:59Z")),
    ("fork", _event(forkee={**REPOSITORY, "full_name": f"mallory/{SCRIPT}", "owner": MALLORY})),
)
