"""Ready-made webhooks that let a host of static sites build a site again. Pure.

Each has a template for the body that the host wants, and the headers that it asks for.
"""

from dataclasses import dataclass

# An edit makes no event: the next build shows it.
REBUILD_EVENTS = ("comment.published", "comment.deleted", "comment.replied")
PLACEHOLDERS = ("OWNER/REPOSITORY", "YOUR_TOKEN", "YOUR_HOOK")

REPOSITORY_DISPATCH = """\
{
  "event_type": "guestbook",
  "client_payload": {"event": {{ event|tojson }}, "guestbook": {{ guestbook.url|tojson }}}
}
"""


@dataclass(frozen=True, slots=True)
class RebuildPreset:
    """What the owner gets filled in, and completes."""

    title: str
    url: str
    template: str
    headers: tuple[str, ...] = ()


REBUILD_PRESETS = {
    # https://docs.github.com/rest/repos/repos#create-a-repository-dispatch-event
    "github": RebuildPreset(
        title="GitHub Actions: repository_dispatch",
        url="https://api.github.com/repos/OWNER/REPOSITORY/dispatches",
        template=REPOSITORY_DISPATCH,
        headers=(
            "Accept: application/vnd.github+json",
            "Authorization: Bearer YOUR_TOKEN",
            "X-GitHub-Api-Version: 2022-11-28",
        ),
    ),
    # https://docs.netlify.com/build/configure-builds/build-hooks/
    "netlify": RebuildPreset(
        title="Netlify: build hook",
        url="https://api.netlify.com/build_hooks/YOUR_HOOK?trigger_title=Guestbook",
        template="{}\n",
    ),
    # https://developers.cloudflare.com/pages/configuration/deploy-hooks/
    "cloudflare": RebuildPreset(
        title="Cloudflare Pages: deploy hook",
        url="https://api.cloudflare.com/client/v4/pages/webhooks/deploy_hooks/YOUR_HOOK",
        template="{}\n",
    ),
    # https://codeberg.org/api/swagger, “ActionsDispatchWorkflow”
    "forgejo": RebuildPreset(
        title="Codeberg and Forgejo Actions: workflow dispatch",
        url="https://codeberg.org/api/v1/repos/OWNER/REPOSITORY/actions/workflows/rebuild.yml/dispatches",
        template='{"ref": "main"}\n',
        headers=("Authorization: token YOUR_TOKEN",),
    ),
}


def placeholder_in(*texts: str) -> str | None:
    """Return the first placeholder that the owner has left in these texts."""
    return next((one for one in PLACEHOLDERS if any(one in text for text in texts)), None)
