"""The JSON Schemas of the calls about spam, tokens and doctor."""

from guestbook.auth import api_tokens
from guestbook.background.doctor.finding import State
from guestbook.comments.refusals import REFUSAL_REASONS
from guestbook.lib.json_schema import (
    NUMBER_SCHEMA,
    TEXT_SCHEMA,
    TIME_SCHEMA,
    Schema,
    answer,
    described,
    one_of,
    or_null,
)
from guestbook.web.api.schemas import list_of

REFUSAL_SCHEMA: Schema = {
    "reason": one_of(*REFUSAL_REASONS),
    "sentence": TEXT_SCHEMA,
    "number": described(NUMBER_SCHEMA, "How often, in the last 30 days."),
    "today": NUMBER_SCHEMA,
}
SPAM_SCHEMA: Schema = {
    "refused": described(
        {"type": "array", "items": answer(REFUSAL_SCHEMA)}, "Why comments were refused at the form."
    ),
    "held_until": described(
        or_null(TIME_SCHEMA), "Until when a flood holds all new comments; null without one."
    ),
    "learned_good": described(NUMBER_SCHEMA, "Comments from which the score has learned what belongs here."),
    "learned_spam": described(NUMBER_SCHEMA, "Comments from which it has learned what spam is."),
    "learned_words": described(NUMBER_SCHEMA, "Words that it knows."),
}
FINDING_SCHEMA: Schema = {
    "subject": TEXT_SCHEMA,
    "state": one_of(*(state.value for state in State)),
    "sentence": TEXT_SCHEMA,
    "advice": described(or_null(TEXT_SCHEMA), "What to do, if there is something."),
    "command": described(or_null(TEXT_SCHEMA), "A command that helps."),
}
CARE_ANSWERS: dict[str, Schema] = {
    "Spam": answer(SPAM_SCHEMA),
    "Forgotten": answer({"words": described(NUMBER_SCHEMA, "How many words it knew.")}),
    "Token": answer(api_tokens.TOKEN_SCHEMA),
    "Tokens": list_of("tokens", "Token"),
    "Examination": answer(
        {
            "state": described(one_of(*(state.value for state in State)), "The gravest state among them."),
            "findings": {"type": "array", "items": answer(FINDING_SCHEMA)},
        }
    ),
}
