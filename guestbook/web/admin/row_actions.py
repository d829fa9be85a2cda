"""The buttons that webhooks and sources share: enable, disable, show the secret, delete."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import InstrumentedAttribute

from guestbook.lib.text import counted
from guestbook.storage import row_changes
from guestbook.storage.database import db, writing
from guestbook.storage.models import Source, Webhook
from guestbook.web import row_lookup
from guestbook.web.admin import responses, secret_pages, undo

R = TypeVar("R", Webhook, Source)


@dataclass(frozen=True, slots=True)
class RowActions(Generic[R]):
    """The buttons of webhooks or of sources."""

    model: type[R]
    enabled: Callable[[R], str]  # Returns the sentence afterwards.
    disabled: str
    owner_id: InstrumentedAttribute[str]  # The rows with this column are deleted with their owner.
    delete_row: Callable[[Engine, str], int]  # Returns their number.
    noun: tuple[str, str]  # The words for one and for several of them.

    def add_rules(self, pages: Blueprint) -> None:
        """Add the buttons' addresses below the one of their row."""
        row = f"/<{self.model.__name__.lower()}_id>"
        pages.add_url_rule(f"{row}/enable", view_func=self.enable, methods=["POST"])
        pages.add_url_rule(f"{row}/disable", view_func=self.disable, methods=["POST"])
        pages.add_url_rule(f"{row}/secret", view_func=self.secret, methods=["GET", "POST"])
        pages.add_url_rule(f"{row}/delete", view_func=self.delete, methods=["GET", "POST"])

    def enable(self, **address: str) -> ResponseReturnValue:
        """Enable a row, even before a pause is over. A secret that its page shows stays on the page."""
        with writing() as session:
            row = row_lookup.find_locked(self.model, *address.values())
            row_changes.enable(session, row)
            shown, said = secret_pages.keep_shown(row), self.enabled(row)
        return responses.done(said, ".show", **address, shown=shown)

    def disable(self, **address: str) -> ResponseReturnValue:
        """Disable a row, with an undo where it was enabled."""
        with writing() as session:
            row = row_lookup.find_locked(self.model, *address.values())
            was_enabled = row.disabled_at is None
            row_changes.disable(session, row)
            back = url_for(".show", **address)  # type: ignore[arg-type]  # url_for takes them
            undo_id = undo.of_disabling(session, row, back) if was_enabled else None
        return responses.done(self.disabled, ".show", undo=undo_id, **address)

    def secret(self, **address: str) -> ResponseReturnValue:
        """Ask for the password, then show the secret."""
        return secret_pages.show(self.model, *address.values())

    def delete(self, **address: str) -> ResponseReturnValue:
        """Say what is deleted with a row; POST deletes it, and says how many deliveries or events it had."""
        row = row_lookup.find(self.model, *address.values())
        if request.method != "POST":
            count = db.session.scalar(select(func.count()).where(self.owner_id == row.id))
            return render_template(f"admin/{self.model.__name__.lower()}_delete.html", row=row, count=count)
        row_id, name = row.id, row.name
        db.session.rollback()  # A reader would keep SQLite's rollback journal from being written.
        count = self.delete_row(db.engine, row_id)
        return responses.done(f"“{name}” was deleted with {counted(count, *self.noun)}.", ".index")
