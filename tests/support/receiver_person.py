"""Somebody who runs a webhook's receiver and was sent a link to its page."""

from typing import Any
from xml.etree.ElementTree import Element

from flask import Flask
from werkzeug.test import TestResponse

from guestbook.outbound import receiver_links, webhooks
from guestbook.storage.models import Webhook
from tests.support import factories
from tests.support.visitor import Visitor, attributes

BASE = "https://book.example"


class ReceiverPerson(Visitor):
    """A browser without a login; `webhook_id` is the webhook that its link is for."""

    def __init__(self, app: Flask, webhook_id: str | None = None, expires: str = "7d") -> None:
        super().__init__(app)
        self.webhook_id = webhook_id or factories.webhook(name="Shop")
        self.link_id, self.address = add_link(self.webhook_id, expires)
        self.path = self.address.removeprefix(BASE)
        self.home = f"/receiver/{self.link_id}/"

    def come_in(self) -> "ReceiverPerson":
        """Open the link, as long as it works."""
        answer = self.get(self.path)
        assert (answer.status_code, answer.headers["Location"]) == (303, self.home)
        return self

    def log(self) -> Element:
        return self.page(self.home)

    def act(self, path: str, **fields: str) -> TestResponse:
        """Send a form of the page to a path below it."""
        mark = attributes(self.log(), ".//input[@name='form_key']")["value"]
        return self.open("POST", self.home + path, data={"form_key": mark, **fields})


def add_link(webhook_id: str, expires: str = "7d") -> tuple[str, str]:
    """Add a link for Ada, and return its id and its address."""
    given = {"name": "Ada", "expires": expires}
    link = factories.written(lambda one: receiver_links.add(one, one.get_one(Webhook, webhook_id), **given))
    return link.id, receiver_links.url(link, factories.settings())


def update_webhook(webhook_id: str, changes: dict[str, Any]) -> None:
    """Change the webhook as its owner does."""
    factories.written(
        lambda session: webhooks.update(
            session, session.get_one(Webhook, webhook_id), changes, factories.settings()
        )
    )
