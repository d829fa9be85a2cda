"""Every call of the API: a new one is described here, and its path leads to a view of the same address."""

from guestbook.web.api.api_call import Call
from guestbook.web.api.call_table.book_calls import BOOK_CALLS
from guestbook.web.api.call_table.queue_calls import QUEUE_CALLS
from guestbook.web.api.call_table.webhook_calls import WEBHOOK_CALLS

CALLS: dict[str, Call] = BOOK_CALLS | WEBHOOK_CALLS | QUEUE_CALLS
