"""A visitor's or the owner's way through the forms of a served book."""

import re
from typing import Any

from scripts.benchmarks.support import temp_book


def hidden_field(page: str, name: str) -> str:
    """Return the value of a form's hidden field."""
    found = re.search(rf'name="{name}" value="([^"]+)"', page)
    assert found, f"The page has no field {name}."
    return found[1]


def log_in(client: Any, site: str = "") -> None:
    """Log the owner in; `client` is a requests.Session or Flask's test client."""
    url = f"{site}/admin/login"
    form = {"csrf_token": hidden_field(client.get(url).text, "csrf_token"), "password": temp_book.PASSWORD}
    answer = client.post(url, data=form)
    assert answer.status_code < 400, answer.text
