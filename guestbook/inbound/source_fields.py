"""Check the fields of a source: its secret, header, template and budget. Wrong values are refused."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from guestbook.inbound import scheme_fields
from guestbook.inbound.template_presets import PRESETS
from guestbook.lib import template_sandbox, text, validate
from guestbook.lib.errors import Refused
from guestbook.lib.template_sandbox import TemplateFault
from guestbook.lib.verification.kinds import VERIFICATION_KINDS
from guestbook.lib.verification.signature_headers import SignatureClaim, Unproven
from guestbook.storage.models import Source
from guestbook.storage.models.source import ACTIONS, VERIFY

SECRET_LIMIT = 200  # characters, as in schema.sql
LEAST_MB, MOST_MB = 2, 1000  # of a budget: one body takes up to 1.4 MB, and INTEGER ends at 2,147 MB
DEFAULTS = {  # of PRESETS
    **{"github": "github", "standard": "guestbook", "stripe": "stripe"},
    **dict.fromkeys(("hmac", "ed25519", "token", "none"), "plain"),
}
NO_CLAIM = SignatureClaim("", b"", (), None, ())


def checked(source: Source, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of a source; refuses with a sentence for each wrong field."""
    verify = fields.get("verify", source.verify)
    action = fields.get("action", source.action)
    budget = validate.whole(LEAST_MB, MOST_MB, "budget_mb", "The budget must be a number of megabytes")
    checks: dict[str, Callable[[], Any]] = {
        "name": lambda: validate.name(fields.get("name", source.name)),
        "verify": lambda: _choice(source, "verify", VERIFY, verify, "way to verify"),
        "action": lambda: _choice(source, "action", ACTIONS, action, "action"),
        "secret": lambda: _new_secret(source, verify, fields.get("secret")),
        "header": lambda: scheme_fields.header(source, verify, fields.get("header")),
        "scheme": lambda: scheme_fields.scheme(source, verify, fields),
        "template": lambda: _template(source, verify, action, fields.get("template")),
        "budget_mb": lambda: budget(fields.get("budget_mb", source.budget_mb)),
    }
    return validate.all_of(checks)


def _choice(source: Source, field: str, known: Collection[str], chosen: str, noun: str) -> str:
    if not source.is_built_in:
        return validate.one_of(known, chosen, field=field, noun=noun)
    if chosen != getattr(source, field):
        raise Refused(
            f"The book has added this source for webmentions, so its {noun} stays.",
            field=field,
            only_here=True,
        )
    return chosen


def preset_name(template: str | None) -> str | None:
    """Return the name of the ready-made template that this is, if any."""
    return next((name for name, ready in PRESETS.items() if ready == template), None)


def template_for(verify: str, template: str | None) -> str:
    """Return the text of a template, given as a text, as a name or not at all; refuses a wrong one."""
    given = text.LINE_ENDS.sub("\n", template or "")
    if not given.strip():
        given = DEFAULTS.get(verify, "")
    if not given:
        known = ", ".join(PRESETS)
        sentence = f"Write the template that makes the comment, or name a ready-made one: {known}."
        raise Refused(sentence, field="template")
    wording = PRESETS.get(given.strip(), given)
    key = ("source's template", wording)
    validate.template(key, lambda: template_sandbox.check(wording), TemplateFault)
    return validate.storable(wording, field="template")


def _new_secret(source: Source, verify: str, given: str | None) -> str | None:
    """Return the given secret, the present one, or a new one."""
    if verify == "none":
        if given:
            sentence = "A source that verifies nothing has no secret. Choose how it is verified."
            raise Refused(sentence, field="secret")
        return None
    keeps = not given and verify == source.verify
    return source.secret if keeps else secret(verify, given)


def secret(verify: str, given: str | None) -> str:
    """Return the given secret or a new one; raises Refused."""
    kind = VERIFICATION_KINDS.get(verify, VERIFICATION_KINDS["none"])
    if not given and kind.secret_from:
        raise Refused(f"Paste {kind.secret_from}: it alone proves the sender.", field="secret")
    if not given:
        return kind.new_secret()
    typed = given.strip()
    if not typed or len(typed) > SECRET_LIMIT or not typed.isprintable():
        sentence = f"The secret must have 1 to {SECRET_LIMIT} characters, all in one line."
        raise Refused(sentence, field="secret")
    if typed.startswith(kind.mistaken):
        raise Refused(f"This is {kind.mistaken_for}.", field="secret")
    if verify == "token" and not typed.isascii():
        raise Refused("A token is sent in a header, so it must be plain ASCII.", field="secret")
    try:
        kind.matches(typed, NO_CLAIM)
    except Unproven as error:
        raise Refused(str(error), field="secret") from None
    return typed


def _template(source: Source, verify: str, action: str, given: str | None) -> str | None:
    """Return the template; it stays even if the action does not need it."""
    if action == "comment":
        return template_for(verify, source.template if given is None else given)
    if given and given.strip():
        raise Refused(
            f"The action {action} needs no template. Only the action comment does.", field="template"
        )
    return source.template
