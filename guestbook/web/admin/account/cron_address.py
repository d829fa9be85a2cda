"""The part of the account page for the address that runs a pass: shown only with the password."""

from flask import abort, render_template, request
from flask.typing import ResponseReturnValue

from guestbook.storage import cron_token
from guestbook.storage.database import writing
from guestbook.web import current
from guestbook.web.admin import responses, typed_password

ADDRESS_ACTIONS = ("show", "rotate", "remove")


def change(then: str) -> ResponseReturnValue:
    """Show the address, make a new one or remove it; raises Refused when the password is wrong.

    No redirect: the next page would have to show the address without the password.
    """
    action = request.form.get("action", "show")
    if action not in ADDRESS_ACTIONS:
        abort(422, "Nothing was changed. Choose to show the address, to rotate it or to remove it.")
    typed_password.confirm("address_password")
    with writing() as session:
        if action == "remove":
            cron_token.remove(session)
            return responses.done("The address is removed. Pingers that call it get 404.", then)
        token = cron_token.make(session, rotate=action == "rotate")
    return render_template(
        "admin/cron_address.html", value=cron_token.url(current.settings().base_url, token)
    )
