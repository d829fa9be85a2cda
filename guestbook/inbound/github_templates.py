"""Ready-made templates for GitHub, Gitea, Forgejo and GitLab. Pure.

Gitea and Forgejo send the same fields as GitHub, but for a few events. Events that a sender marks as
confidential or private give no text.
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

_ISSUE_COMMENT = """\
{% set issue = payload.issue %}
{% set comment = payload.comment %}
{% if event == "issue_comment" and issue and comment and action == "created" %}
{% set thing = "pull request" if issue.pull_request or payload.is_pull else "issue" %}
{{ name }} commented on {{ thing }} #{{ issue.number }} in {{ repo }}: {{ (issue.title or "")|truncate(200) }}
{{ (comment.body or "")|truncate(500) }}
{{ comment.html_url }}
{% endif %}
"""

_DISCUSSION = """\
{% set discussion = payload.discussion %}
{% if event == "discussion" and discussion and action in ("created", "answered", "closed") %}
{% set done = "started" if action == "created" else action %}
{{ name }} {{ done }} discussion #{{ discussion.number }} in {{ repo }}:
{{ (discussion.title or "")|truncate(200) }}
{{ discussion.html_url }}
{% endif %}
"""

_REVIEW = """\
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
"""

_FORK = """\
{% if event == "fork" and payload.forkee %}
{{ name }} forked {{ repo }}
{{ payload.forkee.html_url }}
{% endif %}
"""

_SPONSORSHIP = """\
{% set sponsorship = payload.sponsorship %}
{% set is_public = sponsorship and sponsorship.privacy_level == "public" %}
{% if event == "sponsorship" and is_public and action == "created" %}
{{ name }} became a sponsor of {{ (sponsorship.sponsorable or {}).login or source }}. Thank you!
{% endif %}
"""

_WORKFLOW = """\
{% set run = payload.workflow_run %}
{% set failed = run and run.conclusion in ("failure", "timed_out", "startup_failure") %}
{% if event == "workflow_run" and failed and action == "completed" %}
{% set title = (run.name or "A workflow")|truncate(200) %}
{{ title }} #{{ run.run_number }} failed on {{ run.head_branch }} in {{ repo }}
{{ run.html_url }}
{% endif %}
"""

_DEPLOYMENT = """\
{% set status = payload.deployment_status %}
{% set failed = status and status.state in ("failure", "error") %}
{% if event == "deployment_status" and status and (failed or status.state == "success") %}
{% set place = status.environment or (payload.deployment or {}).environment or "its host" %}
{{ repo }} {{ "could not be" if failed else "was" }} deployed to {{ place }}
{{ status.environment_url or status.target_url }}
{% endif %}
"""

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

_FORGE = _WHO + _PUSH + _ISSUES + _PULL_REQUEST + _RELEASE + _ISSUE_COMMENT + _WORKFLOW

GITHUB_TEMPLATES = {
    "github": _FORGE + _STAR + _DISCUSSION + _REVIEW + _FORK + _SPONSORSHIP + _DEPLOYMENT,
    "github-push": _WHO + _PUSH,
    "github-issues": _WHO + _ISSUES,
    "github-pull_request": _WHO + _PULL_REQUEST,
    "github-release": _WHO + _RELEASE,
    "github-star": _WHO + _STAR,
    "github-issue_comment": _WHO + _ISSUE_COMMENT,
    "github-discussion": _WHO + _DISCUSSION,
    "github-pull_request_review": _WHO + _REVIEW,
    "github-fork": _WHO + _FORK,
    "github-sponsorship": _WHO + _SPONSORSHIP,
    "github-workflow_run": _WHO + _WORKFLOW,
    "github-deployment_status": _WHO + _DEPLOYMENT,
    "gitea": _FORGE + _GITEA,
    "gitlab": _GITLAB_TEMPLATE,
}
