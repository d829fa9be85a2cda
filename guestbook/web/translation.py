"""Texts, numbers and dates in the language of the page.

English ones need no Flask-Babel. The first page in another language imports it, which costs a page by CGI
some milliseconds.
"""

import calendar
from dataclasses import replace
from datetime import datetime
from typing import Any

from flask import Flask, current_app

from guestbook.lib.translatable import Translatable
from guestbook.storage.preferences import Preferences
from guestbook.web import language, time_zone

MONTHS = tuple(calendar.month_name)  # read once: each look at a name formats a date


def init_app(app: Flask) -> None:
    """Let templates write `_("...")` and `{% trans %}`, whose line breaks and indentation do not count."""
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.policies["ext.i18n.trimmed"] = True
    app.jinja_env.install_gettext_callables(_text, _plural, newstyle=True)  # type: ignore[attr-defined]  # of the extension
    app.jinja_env.filters.update(translated=translated, number=number)
    app.jinja_env.globals.update(
        language=language.shown,
        languages=language.LANGUAGE_NAMES,
        may_choose_language=language.may_choose,
    )


def translated(sentence: str) -> str:
    """Return a sentence in the page's language. Text that is in no catalogue stays as it is."""
    if not sentence or language.shown() == language.ENGLISH:
        return sentence
    if not isinstance(sentence, Translatable):
        return _text(sentence)
    if sentence.many is not None and sentence.amount is not None:
        template = _plural(sentence.english, sentence.many, sentence.amount)
    else:
        template = _text(sentence.english)
    if not sentence.values:
        return template
    shown = {
        name: number(value) if isinstance(value, int) else translated(value)
        for name, value in sentence.values.items()
    }
    return template % shown


def number(value: int) -> str:
    """Return `4,000` as the page's language writes it."""
    if language.shown() == language.ENGLISH:
        return f"{value:,}"
    return str(_flask_babel().format_decimal(value))


def day(when: datetime) -> str:
    """Return `3 March 2026`, the day in the page's time zone; the exact moment stays in the tooltip."""
    when = time_zone.local(when)
    if language.shown() == language.ENGLISH:
        return f"{when.day} {MONTHS[when.month]} {when.year}"
    written = str(_flask_babel().format_date(when.date(), "long"))
    is_french_first = (
        when.day == 1 and language.shown() == "fr"
    )  # the Unicode data that Babel has says `1 mars`
    return f"1er{written[1:]}" if is_french_first else written


def of_book(book: Preferences) -> Preferences:
    """Return the preferences; a title or a welcome that the owner left as it was has the page's language."""
    if language.shown() == language.ENGLISH:
        return book
    default = Preferences()
    title = translated(book.title) if book.title == default.title else book.title
    welcome = translated(book.welcome) if book.welcome == default.welcome else book.welcome
    return replace(book, title=title, welcome=welcome)


def title_for_sites(book: Preferences) -> str:
    """Return the title in the owner's language, for code that others put on their pages."""
    if book.title != Preferences().title or book.language == language.ENGLISH:
        return book.title
    babel = _flask_babel()
    with babel.force_locale(book.language):
        return str(babel.get_translations().ugettext(book.title))


def _text(english: str) -> str:
    if language.shown() == language.ENGLISH:
        return english
    return str(_flask_babel().get_translations().ugettext(english))


def _plural(one: str, many: str, count: int) -> str:
    if language.shown() == language.ENGLISH:
        return one if count == 1 else many
    return str(_flask_babel().get_translations().ungettext(one, many, count))


def _flask_babel() -> Any:
    import flask_babel

    if "babel" not in current_app.extensions:
        flask_babel.Babel(current_app, configure_jinja=False, locale_selector=language.shown)
    return flask_babel
