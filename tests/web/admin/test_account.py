"""The account page."""

from tests.web.admin.owner import Owner
from tests.web.visitor import text


def test_it_says_where_the_owner_is_logged_in(owner: Owner) -> None:
    assert "Werkzeug" in text(owner.page("/admin/account/"))


def test_log_out_everywhere_ends_this_login_too(owner: Owner) -> None:
    assert "logged out everywhere" in text(owner.does("/admin/account/logout-everywhere"))
    assert owner.get("/admin/account/").status_code == 303
