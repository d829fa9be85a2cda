"""Send a delivery as a webmention (W3C): find the endpoint of the website, post the two addresses there."""

import json
import time
from dataclasses import dataclass
from urllib.parse import urldefrag, urlencode

from guestbook.lib import page_content, retry_policy
from guestbook.lib.page_content import PackedWrongly, endpoint_discovery
from guestbook.outbound.tasks import DeliveryTask
from guestbook.transport import PAGE_LIMIT, ReceiverAnswer, Transport, TransportError

INCOMPLETE = {"body_timeout": "timeout", "body_broken": "connection_lost"}  # by note: the reason word
NO_ENDPOINT = "The website takes no webmentions, so nothing was sent."


class NoEndpoint(Exception):
    """The website was read and names no endpoint. There is nothing to do, and nothing to try again."""

    def __init__(self, status: int) -> None:
        super().__init__(NO_ENDPOINT)
        self.status = status


@dataclass(frozen=True, slots=True)
class MentionSender:
    """Sends webmentions; all threads share one."""

    transport: Transport
    agent: str

    @property
    def headers(self) -> dict[str, str]:
        """Return what the website and its endpoint get."""
        return {"User-Agent": f"{self.agent} Webmention", "Accept": "*/*", "Accept-Encoding": "identity"}

    def send(self, task: DeliveryTask, seconds: float) -> ReceiverAnswer:
        """Return the endpoint's answer, or the website's if it failed; raises TransportError, NoEndpoint."""
        until = time.monotonic() + seconds
        mention = json.loads(task.body)
        website = urldefrag(str(mention["target"])).url
        page = self.transport.get(website, self.headers, seconds=seconds)
        if retry_policy.may_pass(page.answer.status):
            return page.answer
        endpoint = self._endpoint(page.url, page.answer)
        if endpoint is None:
            if page.answer.note in INCOMPLETE:  # what is missing may name one
                raise TransportError(INCOMPLETE[page.answer.note], sent=True)
            raise NoEndpoint(page.answer.status)
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        left = max(until - time.monotonic(), 0.001)
        body = urlencode({"source": mention["source"], "target": mention["target"]}).encode()
        return self.transport.post(endpoint, {**self.headers, **form}, body, seconds=left)

    def _endpoint(self, url: str, answer: ReceiverAnswer) -> str | None:
        try:
            page = page_content.read(url, answer.headers, answer.body, PAGE_LIMIT)
        except PackedWrongly:  # its headers can be read all the same
            page = page_content.WebPage(url, "text/plain", answer.headers.get("link", ""), "")
        found = endpoint_discovery.endpoint(page)
        return urldefrag(found).url if found else None
