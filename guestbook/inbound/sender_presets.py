"""Known senders: how each signs, where the owner finds its secret, and which template fits. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from guestbook.inbound.scheme_fields import SCHEME_DEFAULTS
from guestbook.inbound.template_presets import PRESETS
from guestbook.lib import validate
from guestbook.lib.errors import Refused
from guestbook.lib.verification.kinds import VERIFICATION_KINDS
from guestbook.lib.verification.signature_scheme import ED25519
from guestbook.storage.models import Source


@dataclass(frozen=True, slots=True)
class SenderPreset:
    """The settings of a source for one sender."""

    title: str
    verify: str
    template: str = ""  # the ready-made one that makes comments of its events
    header: str = ""
    scheme: Mapping[str, str] = field(default_factory=dict)  # what differs from SCHEME_DEFAULTS
    secret_from: str = ""  # where the owner finds the secret, if the sender makes it


SENDER_PRESETS = {
    # https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
    "github": SenderPreset("GitHub", "github", "github"),
    # https://docs.gitea.com/usage/webhooks
    "gitea": SenderPreset("Gitea or Forgejo", "hmac", "gitea", header="X-Gitea-Signature"),
    # https://docs.gitlab.com/user/project/integrations/webhooks/
    "gitlab": SenderPreset("GitLab", "token", "gitlab", header="X-Gitlab-Token"),
    # https://support.atlassian.com/bitbucket-cloud/docs/manage-webhooks/
    "bitbucket": SenderPreset("Bitbucket", "hmac", header="X-Hub-Signature", scheme={"prefix": "sha256="}),
    "guestbook": SenderPreset("Another guestbook", "standard", "guestbook"),
    # https://docs.stripe.com/webhooks
    "stripe": SenderPreset("Stripe", "stripe", "stripe"),
    # https://shopify.dev/docs/apps/build/webhooks/verify-deliveries
    "shopify": SenderPreset(
        "Shopify",
        "hmac",
        "shopify",
        header="X-Shopify-Hmac-Sha256",
        scheme={"encoding": "base64"},
        secret_from="the secret that Shopify shows below its webhooks, or the client secret of your app",
    ),
    # https://woocommerce.com/document/webhooks/
    "woocommerce": SenderPreset(
        "WooCommerce", "hmac", header="X-WC-Webhook-Signature", scheme={"encoding": "base64"}
    ),
    # https://linear.app/developers/webhooks
    "linear": SenderPreset(
        "Linear",
        "hmac",
        header="Linear-Signature",
        secret_from="the signing secret that Linear shows on the page of the webhook",
    ),
    # https://www.typeform.com/developers/webhooks/secure-your-webhooks/
    "typeform": SenderPreset(
        "Typeform", "hmac", header="Typeform-Signature", scheme={"encoding": "base64", "prefix": "sha256="}
    ),
    # https://developers.zoom.us/docs/api/webhooks/
    "zoom": SenderPreset(
        "Zoom",
        "hmac",
        header="X-Zm-Signature",
        scheme={
            "prefix": "v0=",
            "timestamp_header": "X-Zm-Request-Timestamp",
            "content": "v0:{timestamp}:{body}",
        },
        secret_from="the secret token that Zoom shows on the page of your app",
    ),
    # https://api.slack.com/authentication/verifying-requests-from-slack
    "slack": SenderPreset("Slack", "slack"),
    # https://docs.discord.com/developers/interactions/overview
    "discord": SenderPreset(
        "Discord",
        "ed25519",
        "discord",
        header="X-Signature-Ed25519",
        scheme={"timestamp_header": "X-Signature-Timestamp", "content": "{timestamp}{body}"},
        secret_from="the public key that Discord shows under General Information",
    ),
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
        del scheme["hash"]  # of an HMAC
    return {"verify": preset.verify, **header, **scheme}
