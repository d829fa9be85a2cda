"""The JSON Schemas of what signs a webhook's requests, and of GitHub's headers."""

from guestbook.lib import ed25519, signing
from guestbook.lib.json_schema import Schema, one_of
from guestbook.storage.models.webhook import SIGN_WITH

SIGNING_KEY = "^whsk_[0-9A-Za-z+/]{43,86}={1,2}$"
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
        "pattern": SIGNING_KEY,
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
