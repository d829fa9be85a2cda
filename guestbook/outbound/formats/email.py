"""The format `email`: the subject and the text of a message to the owner, `{"subject", "text"}`."""

import json

from guestbook.outbound.formats import wording
from guestbook.outbound.formats.format_input import FormatInput

BY_LINK = "Publish it, reply to it or remove it, without a login (the link works for 7 days):"


def render(given: FormatInput) -> str:
    """Return the body; the sender makes a message of it."""
    words = wording.of(given.event, given.data)
    facts = wording.EventFacts(given.data)
    admin = facts.admin_link("comments", "comment", "id")
    lines = [f"Moderate it: {admin}"] if admin and admin != words.link else []
    link = f"{BY_LINK}\n{words.link}" if words.button else words.link
    parts = (words.who, words.message, link, *lines, f"-- \n{facts.book} {facts.home}".rstrip())
    body = {"subject": words.title, "text": "\n\n".join(part for part in parts if part) + "\n"}
    return json.dumps(body, ensure_ascii=False)
