"""What a visitor types: each field of a comment, said once, in the order of the form.

The form and its checks, the owner's form, files, payloads, the API and its document, the search and the
counts of refusals are made from this list. Each field has the name of its column. It needs no SQLAlchemy.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from guestbook.lib.errors import Translatable

MESSAGE_LIMIT = 4000  # characters; at four bytes each the payload of a webhook stays under 20 kB


@dataclass(frozen=True, kw_only=True)
class CommentField:
    """What is known of a field beside its name."""

    label: Translatable
    limit: int  # characters
    subject: Translatable  # It begins the sentence about a text that is too long.
    missing: Translatable | None = None  # the sentence about an empty one; None where it may be empty
    refused: str  # the reason of a refusal, for the owner
    meaning: str  # a sentence for programs
    input_meaning: str = ""  # a sentence for programs that send it, if that differs
    sample: str = ""  # the value in samples of events
    is_public: bool = True
    asked_by: str = ""  # the preference that puts it on the form; without one it always stands there
    is_chosen: bool = False  # Visitors choose one of the lines of that preference.
    rows: int = 1  # rows of the text area; 1 is a single line
    hint: Translatable | None = None
    owner_label: str = ""  # the label for the owner, if it differs
    owner_hint: str = ""
    attributes: Mapping[str, str] = field(default_factory=lambda: {"dir": "auto"})  # attributes of the input


COMMENT_FIELDS = {
    "name": CommentField(
        label=Translatable("Name"),
        limit=80,
        subject=Translatable("This name"),
        missing=Translatable("Please write your name."),
        refused="The name was missing or too long",
        meaning="The visitor’s name; empty after a deletion for good.",
        sample='Ada "Lace" Lovelace',  # Quotes break a template that writes no JSON.
        attributes={"dir": "auto", "autocomplete": "name"},
    ),
    "place": CommentField(
        label=Translatable("Place"),
        limit=60,
        subject=Translatable("This place"),
        refused="The place was too long",
        meaning="Where the visitor comes from.",
        sample="London",
        asked_by="asks_place",
        hint=Translatable("Where you come from. It stands after your name."),
        attributes={"dir": "auto", "autocomplete": "address-level2"},
    ),
    "website": CommentField(
        label=Translatable("Website"),
        limit=500,
        subject=Translatable("This address"),
        refused="The website was not an address",
        # As it was typed, so its host may be in any script, which no URI has.
        meaning="The visitor’s website; its host may be in any script.",
        input_meaning="A website. Without http:// or https://, https:// is added.",
        sample="https://ada.example/",
        hint=Translatable("Such as example.org. Your name will link to it."),
        # Not type="url": browsers would refuse `example.org`, which people type and we complete.
        attributes={
            **{"inputmode": "url", "autocomplete": "url"},
            **{"autocapitalize": "none", "spellcheck": "false"},
        },
    ),
    "mood": CommentField(
        label=Translatable("Mood"),
        limit=40,
        subject=Translatable("This mood"),
        refused="The mood was not on your list",
        meaning="How the visitor feels, as chosen from the owner’s list.",
        sample="happy",
        asked_by="moods",
        is_chosen=True,
    ),
    "message": CommentField(
        label=Translatable("Message"),
        limit=MESSAGE_LIMIT,
        subject=Translatable("Your message"),
        missing=Translatable("Please write a few words."),
        refused="The message was empty or too long",
        meaning="Plain text with line breaks; empty after a deletion for good.",
        sample='What a lovely "book"!\nI will come again.',
        rows=5,
        hint=Translatable("Plain text, up to %(limit)s characters.", limit=MESSAGE_LIMIT),
        owner_hint="A correction is not sent to webhooks.",
    ),
    "note": CommentField(
        label=Translatable("Note to the owner"),
        limit=1000,
        subject=Translatable("Your note"),
        refused="The note to you was too long",
        meaning="A note to the owner alone.",
        is_public=False,
        asked_by="asks_note",
        rows=2,
        hint=Translatable("Only the owner reads this."),
        owner_label="Note to you",
        owner_hint="No page of the book shows it.",
        attributes={"dir": "auto", "class": "short"},
    ),
}
# Payloads have the website behind the name.
PUBLIC_FIELDS = tuple(
    dict.fromkeys(("name", "website", *(name for name, one in COMMENT_FIELDS.items() if one.is_public)))
)
# Nothing else stays after a deletion.
EMPTIED = {name: "" if COMMENT_FIELDS[name].missing else None for name in PUBLIC_FIELDS}
OWNER_LABELS = {name: one.owner_label or str(one.label) for name, one in COMMENT_FIELDS.items()}
