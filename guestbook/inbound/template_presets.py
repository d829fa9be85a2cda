"""Ready-made templates that turn events into comments: of repositories, or of another guestbook. Pure.

A template gets `event`, `action`, `payload`, `sender` and `source`; it may set `name` and `website`, and its
text becomes the message. No text, no comment. Gitea and Forgejo send the same fields as GitHub.
"""

_WHO = """\
{% set repo = (payload.repository or {}).full_name or source %}
{% set name = sender or source %}
{% set website = (payload.sender or {}).html_url or "" %}
"""

_PUSH = """\
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
"""

_ISSUES = """\
{% set issue = payload.issue %}
{% if event == "issues" and issue and action in ("opened", "closed", "reopened") %}
{{ name }} {{ action }} issue #{{ issue.number }} in {{ repo }}: {{ (issue.title or "")|truncate(200) }}
{{ issue.html_url }}
{% endif %}
"""

_PULL_REQUEST = """\
{% set pull = payload.pull_request %}
{% if event == "pull_request" and pull and action in ("opened", "closed", "reopened") %}
{% set done = "merged" if action == "closed" and pull.merged else action %}
{{ name }} {{ done }} pull request #{{ pull.number }} in {{ repo }}: {{ (pull.title or "")|truncate(200) }}
{{ pull.html_url }}
{% endif %}
"""

_RELEASE = """\
{% set release = payload.release %}
{% if event == "release" and release and action == "published" %}
{% set title = release.name or release.tag_name or "a release" %}
{{ name }} released {{ title|truncate(200) }} of {{ repo }}
{{ release.html_url }}
{% endif %}
"""

_STAR = """\
{% if event == "star" and payload.repository and action == "created" %}
{{ name }} gave {{ repo }} a star. Thank you!
{{ payload.repository.html_url }}
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

# For your own scripts: the fields of this book's form, as JSON or as a form, or plain text.
_PLAIN = """\
{% set fields = payload if payload is mapping else {} %}
{% set name = fields.name if fields.name is string else sender or source %}
{% set website = fields.website or "" %}
{% set words = fields.message or fields.text or payload %}
{{ words if words is string else "" }}
"""

PRESETS = {
    "github": _WHO + _PUSH + _ISSUES + _PULL_REQUEST + _RELEASE + _STAR,
    "github-push": _WHO + _PUSH,
    "github-issues": _WHO + _ISSUES,
    "github-pull_request": _WHO + _PULL_REQUEST,
    "github-release": _WHO + _RELEASE,
    "github-star": _WHO + _STAR,
    "guestbook": _GUESTBOOK,
    "plain": _PLAIN,
}
