"""What each HTTP error is called, for people and for programs."""

import math
from typing import NamedTuple

from werkzeug.exceptions import BadRequest, Forbidden, ServiceUnavailable

from guestbook.lib.translatable import Translatable
from guestbook.web import receipt


class ErrorText(NamedTuple):
    """A code that programs may rely on, and the sentences."""

    code: str
    title: str = ""
    for_people: str = ""
    for_programs: str = ""


def waiting_time(seconds: int) -> Translatable:
    """Return the words for a time to wait, which follow the word "in"."""
    if seconds < 90:
        return Translatable.plural("%(count)s second", "%(count)s seconds", seconds)
    return Translatable.plural("%(count)s minute", "%(count)s minutes", math.ceil(seconds / 60))


class InsufficientScope(Forbidden):
    """The token's scope is too small for this request."""

    code_word = "insufficient_scope"


class BookUpdating(ServiceUnavailable):
    """The tables have another version than the program: its owner is about to upgrade, or should."""

    title = Translatable("The book is being updated")


class PageExpired(BadRequest):
    """A form of the admin pages came without the token that belongs to this browser."""

    title = "This page has expired"
    description = "Nothing was changed. Allow cookies here, go back, reload the page and send it again."


class NotYours(Forbidden):
    """This browser has not written the comment, or too long ago, or it is deleted."""

    title = Translatable("You cannot change this comment")
    description = Translatable(
        "You can change a comment for %(time)s, in the browser that wrote it. Later, ask the owner of the "
        "book to change or delete it.",
        time=receipt.CHANGE_TIME,
    )


ERROR_TEXTS = {
    400: ErrorText(
        "bad_request",
        Translatable("That request was incomplete"),
        Translatable("Nothing was stored. Go back and try again."),
        "This request cannot be read. Nothing was changed.",
    ),
    401: ErrorText("unauthorized"),
    403: ErrorText(
        "forbidden",
        Translatable("You are not logged in"),
        Translatable("Nothing was changed. Log in, go back, reload the page and send it again."),
    ),
    404: ErrorText(
        "not_found",
        Translatable("There is no such page"),
        Translatable("It may have been deleted, or the address is misspelt."),
        "There is nothing at this address.",
    ),
    405: ErrorText(
        "method_not_allowed",
        Translatable("That cannot be done here"),
        Translatable("This address exists, but it does not support this request."),
        "This address does not support this method. The Allow header lists those that it supports.",
    ),
    409: ErrorText("conflict"),
    412: ErrorText(
        "precondition_failed",
        for_programs="It has changed since you read it. Nothing was changed. Read it again.",
    ),
    413: ErrorText(
        "content_too_large",
        Translatable("That is too long"),
        Translatable(
            "Nothing was stored. Press your browser's Back button to get your text back, then shorten it."
        ),
        "This request is too long. Nothing was changed.",
    ),
    415: ErrorText("unsupported_media_type"),
    422: ErrorText(
        "invalid",
        Translatable("That cannot be accepted"),
        Translatable("Nothing was changed. Go back, reload the page and try again."),
    ),
    429: ErrorText("too_many_requests", Translatable("Too Many Requests")),
    500: ErrorText(
        "internal_server_error",
        Translatable("Something went wrong on our side"),
        Translatable("The error is in the owner's log. Please try again in a moment."),
        "Something went wrong on our side. The error is in the owner's log.",
    ),
    503: ErrorText(
        "service_unavailable",
        Translatable("The book cannot be reached"),
        Translatable("Please try again in a minute."),
        "The book cannot be reached at the moment. Please try again in a minute.",
    ),
}
