"""The JSON Schemas of the book's settings, made of their parsers: choices, limits, and what each is for."""

from functools import partial
from typing import Any

from guestbook.lib.json_schema import VISIBLE, Schema, answer, described, one_of, request
from guestbook.storage.preferences import PARSERS, PREFERENCE_NAMES, Preferences

LONGEST_SETTING = 20_000  # characters; what a setting really allows, its sentence says
SETTING_MEANINGS = {
    "title": "The title of the book.",
    "welcome": "The text below the title.",
    "prompt": "The text above the form.",
    "per_page": "Comments per page.",
    "moderation": "Which comments wait for the owner: none, suspicious ones or all.",
    "closed": "Whether the book is closed for new comments.",
    "theme": "Light or dark colours; auto is what the reader's device prefers.",
    "look": "The look of the book.",
    "visitor_looks": "Whether visitors may choose another look for themselves.",
    "webring_previous": "The address of the previous site of a webring.",
    "webring_home": "The address of the webring.",
    "webring_next": "The address of the next site of the webring.",
    "pictures": "The pictures beside comments.",
    "glyphs": "The characters to choose from for these pictures, separated by blanks.",
    "own_css": "A stylesheet after that of the look.",
    "rate": "Comments that one network may write in ten minutes.",
    "embed_sites": "Websites that may show the book in a frame, one per line.",
    "flood": "Comments a minute above which all are held for an hour.",
    "words": "Words that hold a comment, one per line.",
    "question": "A question that visitors must answer.",
    "answers": "The accepted answers, one per line.",
    "score": "Whether the spam rules learn from the owner's decisions.",
    "mentions": "Whether other websites may send webmentions.",
    "language": "The language of feeds, and of pages for browsers that speak none of ours.",
    "visitor_languages": "Whether pages follow the visitor's browser or choice.",
    "asks_place": "Whether the form has a field for the place.",
    "asks_note": "Whether the form has a field for a note to the owner.",
    "timezone": "The time zone of the dates on public pages.",
    "visitor_times": "Whether a script shows dates in the visitor's time zone.",
}


def _schema(name: str) -> Schema:
    parser: Any = PARSERS[name]
    limits = parser.keywords if isinstance(parser, partial) else {}
    default: object = getattr(Preferences(), name)
    if isinstance(default, bool):
        return {"type": "boolean"}
    if isinstance(default, int):
        return {"type": "integer", "minimum": limits["limits"][0], "maximum": limits["limits"][-1]}
    if "choices" in limits:
        return one_of(*limits["choices"])
    return {"type": "string", "pattern": VISIBLE} if name == "title" else {"type": "string"}


def _is_text(schema: Schema) -> bool:
    return bool(schema["type"] == "string") and "enum" not in schema


SHOWN_SETTINGS: Schema = {name: described(_schema(name), SETTING_MEANINGS[name]) for name in PREFERENCE_NAMES}
SETTING_FIELDS: Schema = {
    name: {**schema, "maxLength": LONGEST_SETTING} if _is_text(schema) else schema
    for name, schema in SHOWN_SETTINGS.items()
}
SETTINGS_REQUESTS: dict[str, Schema] = {"SettingChanges": request(SETTING_FIELDS, minProperties=1)}
SETTINGS_ANSWERS: dict[str, Schema] = {"Settings": answer(SHOWN_SETTINGS)}
