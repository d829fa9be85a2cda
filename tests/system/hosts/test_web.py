"""The site on two machines: whoever comes again may come to the other one, and notices nothing."""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from urllib.request import HTTPCookieProcessor, OpenerDirector

import html5lib
import pytest
from flask import Flask
from sqlalchemy import func, select

from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import BookState, Comment
from tests.support import processes, visitor
from tests.support.at_once import at_once
from tests.support.owner import PASSWORD, QUICK
from tests.support.visitor import GREETING
from tests.system.hosts.fleet import Fleet

pytestmark = pytest.mark.parametrize("each_environ", ["postgresql", "mariadb"], indirect=True)

CLICKS = 10  # double clicks


@pytest.fixture
def sites(fleet: Fleet) -> Iterator[tuple[str, str]]:
    with ExitStack() as stack:
        first, second = (stack.enter_context(fleet.site(number)) for number in (1, 2))
        yield first, second


def test_the_admin_pages_the_form_the_double_click_and_the_limit_are_the_same_on_two_machines(
    sites: tuple[str, str], each_app: Flask
) -> None:
    """One test, for the servers take long to start."""
    _a_login_is_good_and_ended_at_both(*sites)
    _a_form_of_one_is_taken_by_the_other(*sites)
    _a_double_click_at_both_makes_one_comment(each_app, *sites)
    _a_network_has_one_limit_at_both(each_app, *sites)


def _a_login_is_good_and_ended_at_both(first: str, second: str) -> None:
    with database.writing() as session:
        session.merge(BookState(name="password", value=QUICK))
    own = processes.browser(HTTPCookieProcessor())  # for a browser both are one site: it looks at no port
    form = _form(f"{first}/admin/login", own) | {"password": PASSWORD}
    assert processes.fetch(f"{first}/admin/login", form, own)[0] == 303
    assert processes.fetch(f"{second}/admin/", opener=own)[0] == 200
    key = {"csrf_token": _form(f"{first}/admin/account/", own)["csrf_token"]}
    assert processes.fetch(f"{second}/admin/logout", key, own)[0] == 303
    assert [processes.fetch(f"{site}/admin/", opener=own)[0] for site in (first, second)] == [303, 303]


def _a_form_of_one_is_taken_by_the_other(first: str, second: str) -> None:
    form = _form(first) | GREETING | {"message": "From one to the other"}
    assert processes.fetch(f"{second}/comments", form)[0] == 303
    for site in (first, second):
        assert "From one to the other" in processes.fetch(site)[1]


def _a_double_click_at_both_makes_one_comment(app: Flask, *sites: str) -> None:
    visitor.let_write(app)
    before, answers = _comments(), []
    for number in range(CLICKS):
        form = _form(sites[number % 2]) | GREETING | {"message": f"Click {number}"}
        answers += at_once(app, 2, partial(_click, sites, form))
    assert answers == [303] * 2 * CLICKS
    assert _comments() == before + CLICKS


def _a_network_has_one_limit_at_both(app: Flask, first: str, second: str) -> None:
    visitor.let_write(app, _comments() + 2)  # of all that were written until now, by this one network
    answers = [processes.sign(site, message=f"Hello {site}") for site in (first, second, first, second)]
    assert answers == [303, 303, 429, 429]


def _click(sites: tuple[str, str], form: dict[str, str], number: int) -> int:
    return processes.fetch(f"{sites[number]}/comments", form)[0]


def _form(url: str, *opener: OpenerDirector) -> dict[str, str]:
    text = processes.fetch(url, None, *opener)[1]
    return visitor.fields(html5lib.parse(text, namespaceHTMLElements=False))


def _comments() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(Comment)) or 0
