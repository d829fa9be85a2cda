"""Known senders: how each signs, and ready-made templates that make comments of their events. Pure.

Events that a sender marks as confidential or private give no text.
"""

from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, NamedTuple

from guestbook.lib import validate
from guestbook.lib.errors import Refused
from guestbook.lib.text import LINE_ENDS
from guestbook.lib.verification.kinds import (
    ED25519,
    SIGNATURE_ENCODINGS,
    SIGNATURE_HASHES,
    SIGNED_CONTENTS,
    TOLERANCE,
    VERIFICATION_KINDS,
    Unproven,
    value_of,
)
from guestbook.storage.models import Source

_WHO = """\
{% set repo = (payload.repository or {}).full_name or source %}
{% set name = sender or source %}
{% set website = (payload.sender or {}).html_url or "" %}
"""

_GITHUB_EVENTS = {
    "push": """\
{% if event == "push" and payload.commits %}
{% set branch = (payload.ref or "")|replace("refs/heads/", "") %}
{% set count = payload.commits|length %}
{{ name }} pushed {{ count }} commit{{ "" if count == 1 else "s" }} to {{ branch }} in {{ repo }}:
{% for commit in payload.commits[:5] %}
- {{ (commit.message or "").strip().splitlines()|first|truncate(120) }}
{% endfor %}
{% if count > 5 %}
and {{ count - 5 }} more
{% endif %}
{{ payload.compare or payload.compare_url }}
{% elif event == "push" and payload.created and (payload.ref or "").startswith("refs/tags/") %}
{{ name }} tagged {{ payload.ref|replace("refs/tags/", "") }} in {{ repo }}
{{ (payload.repository or {}).html_url }}
{% endif %}
""",
    "issues": """\
{% set issue = payload.issue %}
{% if event == "issues" and issue and action in ("opened", "closed", "reopened") %}
{{ name }} {{ action }} issue #{{ issue.number }} in {{ repo }}: {{ (issue.title or "")|truncate(200) }}
{{ issue.html_url }}
{% endif %}
""",
    "pull_request": """\
{% set pull = payload.pull_request %}
{% if event == "pull_request" and pull and action in ("opened", "closed", "reopened") %}
{% set done = "merged" if action == "closed" and pull.merged else action %}
{{ name }} {{ done }} pull request #{{ pull.number }} in {{ repo }}: {{ (pull.title or "")|truncate(200) }}
{{ pull.html_url }}
{% endif %}
""",
    "release": """\
{% set release = payload.release %}
{% if event == "release" and release and action == "published" %}
{% set title = release.name or release.tag_name or "a release" %}
{{ name }} released {{ title|truncate(200) }} of {{ repo }}
{{ release.html_url }}
{% endif %}
""",
    "star": """\
{% if event == "star" and payload.repository and action == "created" %}
{{ name }} gave {{ repo }} a star. Thank you!
{{ payload.repository.html_url }}
{% endif %}
""",
    "issue_comment": """\
{% set issue = payload.issue %}
{% set comment = payload.comment %}
{% if event == "issue_comment" and issue and comment and action == "created" %}
{% set thing = "pull request" if issue.pull_request or payload.is_pull else "issue" %}
{{ name }} commented on {{ thing }} #{{ issue.number }} in {{ repo }}: {{ (issue.title or "")|truncate(200) }}
{{ (comment.body or "")|truncate(500) }}
{{ comment.html_url }}
{% endif %}
""",
    "discussion": """\
{% set discussion = payload.discussion %}
{% if event == "discussion" and discussion and action in ("created", "answered", "closed") %}
{% set done = "started" if action == "created" else action %}
{{ name }} {{ done }} discussion #{{ discussion.number }} in {{ repo }}:
{{ (discussion.title or "")|truncate(200) }}
{{ discussion.html_url }}
{% endif %}
""",
    "pull_request_review": """\
{% set review = payload.review %}
{% if event == "pull_request_review" and review and payload.pull_request and action == "submitted" %}
{% set pull = payload.pull_request %}
{% set done = {"approved": "approved", "changes_requested": "asked for changes to"}.get(review.state or "") %}
{% if done %}
{{ name }} {{ done }} pull request #{{ pull.number }} in {{ repo }}: {{ (pull.title or "")|truncate(200) }}
{% if review.body %}
{{ review.body|truncate(500) }}
{% endif %}
{{ review.html_url }}
{% endif %}
{% endif %}
""",
    "fork": """\
{% if event == "fork" and payload.forkee %}
{{ name }} forked {{ repo }}
{{ payload.forkee.html_url }}
{% endif %}
""",
    "sponsorship": """\
{% set sponsorship = payload.sponsorship %}
{% set is_public = sponsorship and sponsorship.privacy_level == "public" %}
{% if event == "sponsorship" and is_public and action == "created" %}
{{ name }} became a sponsor of {{ (sponsorship.sponsorable or {}).login or source }}. Thank you!
{% endif %}
""",
    "workflow_run": """\
{% set run = payload.workflow_run %}
{% set failed = run and run.conclusion in ("failure", "timed_out", "startup_failure") %}
{% if event == "workflow_run" and failed and action == "completed" %}
{% set title = (run.name or "A workflow")|truncate(200) %}
{{ title }} #{{ run.run_number }} failed on {{ run.head_branch }} in {{ repo }}
{{ run.html_url }}
{% endif %}
""",
    "deployment_status": """\
{% set status = payload.deployment_status %}
{% set failed = status and status.state in ("failure", "error") %}
{% if event == "deployment_status" and status and (failed or status.state == "success") %}
{% set place = status.environment or (payload.deployment or {}).environment or "its host" %}
{{ repo }} {{ "could not be" if failed else "was" }} deployed to {{ place }}
{{ status.environment_url or status.target_url }}
{% endif %}
""",
}

# Gitea names the parts of a fork the other way around, and has an event for each kind of review.
_GITEA = """\
{% if event == "fork" and payload.repository %}
{{ name }} forked {{ (payload.forkee or {}).full_name or source }}
{{ payload.repository.html_url }}
{% endif %}
{% set pull = payload.pull_request %}
{% if pull and event in ("pull_request_approved", "pull_request_rejected") %}
{% set done = "approved" if event == "pull_request_approved" else "asked for changes to" %}
{{ name }} {{ done }} pull request #{{ pull.number }} in {{ repo }}: {{ (pull.title or "")|truncate(200) }}
{% if (payload.review or {}).content %}
{{ payload.review.content|truncate(500) }}
{% endif %}
{{ pull.html_url }}
{% endif %}
"""

_GITLAB_TEMPLATE = """\
{% set project = payload.project or {} %}
{% set repo = project.path_with_namespace or source %}
{% set name = payload.user_name or (payload.user or {}).name or sender or source %}
{% set thing = payload.object_attributes or {} %}
{% set issue = payload.issue or {} %}
{% set is_secret = thing.confidential or thing.internal or issue.confidential %}
{% set is_secret = is_secret or (payload.event_type or "") in ("confidential_issue", "confidential_note") %}
{% set done = {"open": "opened", "close": "closed", "reopen": "reopened", "merge": "merged"}.get(action) %}
{% set done = done if not is_secret else none %}
{% set branch = (payload.ref or "")|replace("refs/heads/", "")|replace("refs/tags/", "") %}
{% if event == "push" and payload.commits %}
{% set count = payload.total_commits_count or payload.commits|length %}
{{ name }} pushed {{ count }} commit{{ "" if count == 1 else "s" }} to {{ branch }} in {{ repo }}:
{% for commit in payload.commits[:5] %}
- {{ (commit.title or commit.message or "").strip().splitlines()|first|truncate(120) }}
{% endfor %}
{% if count is number and count > 5 %}
and {{ count - 5 }} more
{% endif %}
{{ project.web_url }}
{% elif event == "tag_push" and payload.checkout_sha %}
{{ name }} tagged {{ branch }} in {{ repo }}
{{ project.web_url }}
{% elif event == "issue" and done and thing.iid %}
{{ name }} {{ done }} issue #{{ thing.iid }} in {{ repo }}: {{ (thing.title or "")|truncate(200) }}
{{ thing.url }}
{% elif event == "merge_request" and done and thing.iid %}
{{ name }} {{ done }} merge request !{{ thing.iid }} in {{ repo }}: {{ (thing.title or "")|truncate(200) }}
{{ thing.url }}
{% elif event == "note" and thing.note and action in ("", "create") and not is_secret %}
{{ name }} commented on {{ (issue.title or (payload.merge_request or {}).title or repo)|truncate(200) }}:
{{ thing.note|truncate(500) }}
{{ thing.url }}
{% elif event == "release" and action == "create" and payload.tag %}
{% set name = ((payload.commit or {}).author or {}).name or source %}
{{ name }} released {{ (payload.name or payload.tag or "a release")|truncate(200) }} of {{ repo }}
{{ payload.url }}
{% elif event == "pipeline" and thing.status == "failed" %}
Pipeline #{{ thing.id }} failed on {{ thing.ref }} in {{ repo }}
{{ thing.url or project.web_url }}
{% endif %}
"""

# Gitea and Forgejo send the same fields as GitHub, but for a few events.
_FORGE_EVENTS = ("push", "issues", "pull_request", "release", "issue_comment", "workflow_run")
_FORGE = _WHO + "".join(_GITHUB_EVENTS[name] for name in _FORGE_EVENTS)
_ONLY_GITHUB = (text for name, text in _GITHUB_EVENTS.items() if name not in _FORGE_EVENTS)

# Amounts are in the smallest unit, which some currencies do not have: https://docs.stripe.com/currencies
_STRIPE_TEMPLATE = """\
{% set payment = (payload.data or {}).object or {} %}
{% set amount = payment.amount_total %}
{% if event == "checkout.session.completed" and payment.payment_status == "paid" and amount is integer %}
{% set currency = (payment.currency or "")|upper %}
{% set is_whole = currency in "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF UGX VND VUV XAF XOF XPF".split() %}
{% set cents = amount % 100 %}
{% set total = amount if is_whole else (amount // 100) ~ "." ~ ("0" if cents < 10 else "") ~ cents %}
{% set name = ((payment.customer_details or {}).name or "").split()|first or "Somebody" %}
{{ name }} paid {{ total }} {{ currency }}. Thank you!
{% endif %}
"""

_SHOPIFY_TEMPLATE = """\
{% set name = (payload.customer or {}).first_name or "Somebody" %}
{% if event == "orders/create" and payload.line_items and not payload.test %}
{% set count = payload.line_items|length %}
{% set more = " and " ~ (count - 1) ~ " more" if count > 1 else "" %}
{% set title = ((payload.line_items|first or {}).title or "something")|truncate(200) %}
{{ name }} ordered {{ title }}{{ more }}. Thank you!
{% elif event == "products/create" and payload.title and payload.status != "draft" %}
{% set name = payload.vendor or source %}
New in the shop: {{ payload.title|truncate(200) }}
{% endif %}
"""

# A command with one text, such as /sign, that somebody types in Discord.
_DISCORD_TEMPLATE = """\
{% set person = (payload.member or {}).user or payload.user or {} %}
{% set name = person.global_name or person.username or source %}
{% if payload.type == 2 %}
{{ (((payload.data or {}).options or [])|first or {}).value or "" }}
{% endif %}
"""

_GUESTBOOK = """\
{% set comment = (payload.data or {}).comment or {} %}
{% if payload.type in ("comment.created", "comment.published") and comment.status == "published" %}
{% set name = comment.name or source %}
{% set website = comment.website or "" %}
{{ comment.message }}
{% endif %}
"""

# For your own scripts: the fields of this book's form, as JSON or as a form, or plain text. Others say
# text, content or title.
_PLAIN = """\
{% set fields = payload if payload is mapping else {} %}
{% set name = fields.name if fields.name is string else sender or source %}
{% set website = fields.website or "" %}
{% set words = fields.message or fields.text or fields.content or fields.title or payload %}
{{ words if words is string else "" }}
"""

PRESETS = {
    "github": _FORGE + "".join(_ONLY_GITHUB),
    **{f"github-{name}": _WHO + text for name, text in _GITHUB_EVENTS.items()},
    "gitea": _FORGE + _GITEA,
    "gitlab": _GITLAB_TEMPLATE,
    "stripe": _STRIPE_TEMPLATE,
    "shopify": _SHOPIFY_TEMPLATE,
    "discord": _DISCORD_TEMPLATE,
    "guestbook": _GUESTBOOK,
    "plain": _PLAIN,
}


# What each field is until the owner says something else.
SCHEME_DEFAULTS = {
    "hash": SIGNATURE_HASHES[0],
    "encoding": SIGNATURE_ENCODINGS[0],
    "prefix": "",
    "content": SIGNED_CONTENTS[0],
    "timestamp_header": "",
    "tolerance": str(TOLERANCE),
}


class SenderPreset(NamedTuple):
    """The settings of a source for one sender."""

    title: str
    verify: str
    header: str = ""
    template: str = ""  # the ready-made one that makes comments of its events
    scheme: Mapping[str, str] = MappingProxyType({})  # what differs from SCHEME_DEFAULTS
    secret_from: str = ""  # where the owner finds the secret, if the sender makes it


_IN_BASE64 = {"encoding": "base64"}
_OF_TYPEFORM = {**_IN_BASE64, "prefix": "sha256="}
_OF_ZOOM = {"prefix": "v0=", "timestamp_header": "X-Zm-Request-Timestamp", "content": "v0:{timestamp}:{body}"}
_OF_DISCORD = {"timestamp_header": "X-Signature-Timestamp", "content": "{timestamp}{body}"}
_OF_PADDLE = {"prefix": "ts={timestamp};h1=", "content": "{timestamp}:{body}"}
_OF_TWILIO = {**_IN_BASE64, "hash": "sha1", "content": "{url}{fields}"}
_OF_SENDGRID = {**_OF_DISCORD, **_IN_BASE64, "timestamp_header": "X-Twilio-Email-Event-Webhook-Timestamp"}
_OF_MAILGUN = {"timestamp_header": "body.signature.timestamp", "content": "{timestamp}{token}"}
_OF_SQUARE = {**_IN_BASE64, "content": "{url}{body}"}
_AFTER_ID = {"prefix": "sha256=", "content": "{id}{timestamp}{body}", "tolerance": "600"}
_OF_TWITCH = {**_AFTER_ID, "timestamp_header": "Twitch-Eventsub-Message-Timestamp"}
_OF_WEBSUB = {"hash": "sha1", "prefix": "sha1="}  # as Google's hub signs
_SENDGRID, _TWITCH = "X-Twilio-Email-Event-Webhook-Signature", "Twitch-Eventsub-Message-Signature"
_AT_SENDER = "the secret or the key that the sender shows for its webhooks"
_AT_TWILIO = "the auth token of your Twilio account"
_AT_SHOPIFY = "the secret that Shopify shows below its webhooks, or the client secret of your app"
_AT_LINEAR = "the signing secret that Linear shows on the page of the webhook"
_AT_ZOOM = "the secret token that Zoom shows on the page of your app"
_AT_DISCORD = "the public key that Discord shows under General Information"
SENDER_PRESETS = {
    # https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
    "github": SenderPreset("GitHub", "github", template="github"),
    # https://docs.gitea.com/usage/webhooks
    "gitea": SenderPreset("Gitea or Forgejo", "hmac", "X-Gitea-Signature", "gitea"),
    # https://docs.gitlab.com/user/project/integrations/webhooks/
    "gitlab": SenderPreset("GitLab", "token", "X-Gitlab-Token", "gitlab"),
    # https://support.atlassian.com/bitbucket-cloud/docs/manage-webhooks/
    "bitbucket": SenderPreset("Bitbucket", "hmac", "X-Hub-Signature", scheme={"prefix": "sha256="}),
    "guestbook": SenderPreset("Another guestbook", "standard", template="guestbook"),
    # https://docs.stripe.com/webhooks
    "stripe": SenderPreset("Stripe", "stripe", template="stripe"),
    # https://shopify.dev/docs/apps/build/webhooks/verify-deliveries
    "shopify": SenderPreset("Shopify", "hmac", "X-Shopify-Hmac-Sha256", "shopify", _IN_BASE64, _AT_SHOPIFY),
    # https://woocommerce.com/document/webhooks/
    "woocommerce": SenderPreset("WooCommerce", "hmac", "X-WC-Webhook-Signature", scheme=_IN_BASE64),
    # https://linear.app/developers/webhooks
    "linear": SenderPreset("Linear", "hmac", "Linear-Signature", secret_from=_AT_LINEAR),
    # https://www.typeform.com/developers/webhooks/secure-your-webhooks/
    "typeform": SenderPreset("Typeform", "hmac", "Typeform-Signature", scheme=_OF_TYPEFORM),
    # https://developers.zoom.us/docs/api/webhooks/
    "zoom": SenderPreset("Zoom", "hmac", "X-Zm-Signature", scheme=_OF_ZOOM, secret_from=_AT_ZOOM),
    # https://api.slack.com/authentication/verifying-requests-from-slack
    "slack": SenderPreset("Slack", "slack"),
    # https://docs.discord.com/developers/interactions/overview
    "discord": SenderPreset("Discord", "ed25519", "X-Signature-Ed25519", "discord", _OF_DISCORD, _AT_DISCORD),
    # https://developer.paddle.com/webhooks/signature-verification
    "paddle": SenderPreset("Paddle", "hmac", "Paddle-Signature", "", _OF_PADDLE, _AT_SENDER),
    # https://www.twilio.com/docs/usage/security
    "twilio": SenderPreset("Twilio", "hmac", "X-Twilio-Signature", "", _OF_TWILIO, _AT_TWILIO),
    # https://www.twilio.com/docs/sendgrid/for-developers/tracking-events
    "sendgrid": SenderPreset("SendGrid", "ed25519", _SENDGRID, "", _OF_SENDGRID, _AT_SENDER),
    # https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks
    "mailgun": SenderPreset("Mailgun", "hmac", "body.signature.signature", "", _OF_MAILGUN, _AT_SENDER),
    # https://developer.squareup.com/docs/webhooks/step3validate
    "square": SenderPreset("Square", "hmac", "X-Square-HmacSha256-Signature", "", _OF_SQUARE, _AT_SENDER),
    # https://www.dropbox.com/developers/reference/webhooks
    "dropbox": SenderPreset("Dropbox", "hmac", "X-Dropbox-Signature", secret_from=_AT_SENDER),
    # https://learn.microsoft.com/graph/change-notifications-delivery-webhooks
    "microsoft-graph": SenderPreset("Microsoft Graph", "token", "body.value.clientState"),
    # https://dev.twitch.tv/docs/eventsub/handling-webhook-events/
    "twitch": SenderPreset("Twitch", "hmac", _TWITCH, scheme=_OF_TWITCH),
    # https://www.w3.org/TR/websub/
    "websub": SenderPreset("WebSub", "hmac", "X-Hub-Signature", scheme=_OF_WEBSUB),
}


def filled_in(source: Source, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields with those of the preset that they name, which the others override.

    Raises Refused for an unknown preset, and where the sender makes the secret and it is not given.
    """
    if not fields.get("preset"):
        return {name: value for name, value in fields.items() if name != "preset"}
    name = validate.one_of(SENDER_PRESETS, str(fields["preset"]), field="preset", noun="preset")
    preset, filled = SENDER_PRESETS[name], settings_of(name)
    filled |= {key: value for key, value in fields.items() if value not in (None, "") or key not in filled}
    del filled["preset"]
    has_own_template = source.template not in (None, *PRESETS.values())
    if fields.get("action", source.action) == "comment" and not has_own_template:
        filled.setdefault("template", preset.template)
    is_other = filled["verify"] != source.verify
    if preset.secret_from and is_other and filled["verify"] == preset.verify and not fields.get("secret"):
        raise Refused(f"Paste {preset.secret_from}: it alone proves the sender.", field="secret")
    return filled


def settings_of(name: str) -> dict[str, Any]:
    """Return the fields of a source that a preset fills in."""
    preset = SENDER_PRESETS[name]
    header = {"header": preset.header} if preset.header else {}
    scheme = {**SCHEME_DEFAULTS, **preset.scheme} if VERIFICATION_KINDS[preset.verify].has_scheme else {}
    if preset.verify == ED25519:
        del scheme["hash"]
    return {"verify": preset.verify, **header, **scheme}


def fitting(request: str) -> list[str]:
    """Return the presets that fit a request: headers, an empty line and the body, or only some of that.

    Raises Refused if none fits.
    """
    text = LINE_ENDS.sub("\n", request).strip()
    head, _, body = ("", "", text) if text.startswith("{") else text.partition("\n\n")
    lines = (line.lstrip("> ").partition(":") for line in head.split("\n"))
    headers = {name.strip().lower(): value.strip() for name, _, value in lines}
    if names := [name for name in SENDER_PRESETS if _fits(name, headers, body.encode(errors="replace"))]:
        return names
    sentence = "No preset fits this request. If a header holds a signature, choose hmac and describe it."
    raise Refused(sentence, field="request", only_here=True)


def _fits(name: str, headers: Mapping[str, str], body: bytes) -> bool:
    preset = SENDER_PRESETS[name]
    header = preset.header or VERIFICATION_KINDS[preset.verify].header
    with suppress(Unproven):
        return value_of(header, headers, body).startswith(preset.scheme.get("prefix", "").partition("{")[0])
    return False
