"""The JSON Schemas of what signs a webhook's requests, and of GitHub's headers."""

from guestbook.lib import ed25519, signing
from guestbook.lib.json_schema import Schema, described, one_of, or_null
from guestbook.storage.models.webhook import SIGN_WITH

GIVEN_SECRET: Schema = {
    "secret": {
        "type": "string",
        "minLength": signing.SHORTEST_SECRET,
        "maxLength": signing.LONGEST_SECRET,
        "description": f"The secret that the receiver has already: {signing.SECRET_FORMS}. "
        "Without it a new one is made.",
    }
}
GIVEN_KEY: Schema = {
    "signing_key": {
        "type": "string",
        "minLength": 1,
        "maxLength": 100,
        "description": f"The private key whose public half the receiver has already: {ed25519.KEY_FORMS}. "
        "It signs alone, unless `sign_with` is `both`. No answer shows it.",
    }
}
SIGNATURE_FIELDS: Schema = {
    "sign_with": one_of(
        *SIGN_WITH,
        description="Sign with the secret, a key pair of Ed25519, or both. The key pair is made when it is "
        "chosen first, and deleted when the secret alone is chosen.",
    ),
    "github_headers": {
        "type": "boolean",
        "description": "Send X-GitHub-Event, X-GitHub-Delivery and X-GitHub-Hook-ID too.",
    },
    **GIVEN_KEY,
}


def shown(time: Schema) -> Schema:
    """Return what every answer says of a webhook's signatures; `time` is the schema of a time."""
    key: Schema = {"type": ["string", "null"]}
    return {
        "sign_with": one_of(*SIGN_WITH, description="Whether its secret, its key or both sign."),
        "public_key": described(key, "The key with which receivers verify; null if only the secret signs."),
        "previous_public_key": described(key, "The key before the last rotation."),
        "previous_signing_key_expires_at": described(or_null(time), "Until when that one also signs."),
        "github_headers_since": described(
            or_null(time), "Since when GitHub's headers come too; null: never."
        ),
    }
