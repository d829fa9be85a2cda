"""Every call of the API: a new one is described here, and its path leads to a view of the same address."""

from guestbook.web.api.api_call import Call
from guestbook.web.api.call_table.book_calls import BOOK_CALLS
from guestbook.web.api.call_table.owner_calls import OWNER_CALLS
from guestbook.web.api.call_table.queue_calls import QUEUE_CALLS
from guestbook.web.api.call_table.source_calls import SOURCE_CALLS
from guestbook.web.api.call_table.webhook_calls import WEBHOOK_CALLS

CALLS: dict[str, Call] = BOOK_CALLS | WEBHOOK_CALLS | SOURCE_CALLS | QUEUE_CALLS | OWNER_CALLS
