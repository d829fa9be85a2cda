"""The pages behind the links in e-mails to visitors: one confirms the address, one deletes it.

Mail programs fetch links, so GET changes nothing. A POST needs only the token in the address: mail servers
send it without a cookie, and without having opened the page (RFC 8058).
"""

from flask import Blueprint, abort, render_template, request
from flask.typing import ResponseReturnValue

from guestbook.comments import comment_actions, reply_mails
from guestbook.lib import signed_links
from guestbook.lib.errors import Translatable
from guestbook.lib.signed_links import CONFIRM, MAIL_PATH
from guestbook.storage.database import db, writing
from guestbook.storage.models import ReplyAddress
from guestbook.web import request_context, row_lookup

pages = Blueprint("reply_mail", __name__, url_prefix=MAIL_PATH)

BROKEN_MAIL_LINK = Translatable("The link is incomplete. Please open it from the e-mail again.")


@pages.route("/<any(confirm, stop):step>/<mail_token>", methods=["GET", "POST"])
def show(step: str, mail_token: str) -> ResponseReturnValue:
    """Show the page with its button, or confirm or delete the address and say so."""
    settings = request_context.settings()
    comment_id = signed_links.unsign(mail_token, f"mail {step}", settings.secret_keys)
    if comment_id is None:
        row_lookup.count_wrong_link("mail")
        abort(404, BROKEN_MAIL_LINK)
    if request.method == "POST":
        with writing() as session:
            for comment in comment_actions.lock(session, [comment_id]):
                if step == CONFIRM:
                    reply_mails.confirm(session, comment, settings)
                else:
                    reply_mails.forget(session, comment_id)
    kept = db.session.get(ReplyAddress, comment_id, populate_existing=True)
    page = render_template("reply_mail.html", action=step, kept=kept)
    return page, 410 if kept is None and step == CONFIRM else 200
