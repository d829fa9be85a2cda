"""A call of the API: its view, and what the document says of it; and what several calls share."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from flask import Blueprint, current_app, request
from flask.typing import ResponseReturnValue

from guestbook.lib import json_schema as schema
from guestbook.lib.json_schema import Schema
from guestbook.queries import filtered_lists

API_PATH = "/api/v1"
LONGEST_PAGE = 100  # rows
LOOKS_BACK = "A page looks at some thousand rows and may be short: go on with `next`."


def page_query(size: int) -> Schema:
    """Return the parameters of a list whose pages have so many rows by default."""
    limits = {"minimum": 1, "maximum": LONGEST_PAGE, "default": size}
    return {
        "limit": schema.integer("The maximum number of rows.", **limits),
        "before": schema.id_("Only rows older than the one with this id."),
    }


def word(description: str) -> Schema:
    """Return the schema of what a search looks for."""
    return schema.text(description, minLength=1, maxLength=filtered_lists.LETTERS)


PAGE_QUERY = page_query(20)
# Most books have fewer rows of such a kind.
FULL_PAGE_QUERY = page_query(LONGEST_PAGE)
NO_PARAMETERS: Schema = {}
# An old secret may sign beside the new one for so long.
OVERLAP_FIELD: Schema = {"overlap_hours": {"type": "number", "minimum": 0, "maximum": 24 * 30, "default": 24}}
DRY_RUN: Schema = {"dry_run": schema.boolean("Only count them.", default=False)}
# Below these paths, `moderate` is enough.
MODERATING = ("/comments", "/moderate", "/spam/end-flood")
# It leases what it returns, so `read` is not enough.
PENDING = "GET /webhooks/{webhook_id}/pending"


def list_of(key: str, name: str) -> Schema:
    """Return the schema of a page of a list."""
    following = schema.or_null(schema.url("The address of the next page; null on the last page."))
    return schema.answer({key: schema.array(schema.ref(name)), "next": following})


class Call(NamedTuple):
    """A method at a path; errors that follow from the path, the token, the query and the body are added."""

    name: str
    address: str  # such as `PATCH /comments/{comment_id}`
    summary: str
    answers: dict[int, str | None]  # status → schema of the answer
    errors: tuple[int, ...] = ()
    body: str | None = None  # its schema
    needs_body: bool = True
    query: Schema = NO_PARAMETERS
    token: str = "needed"  # or "optional" or "ignored"
    may_match: bool = False  # whether it reads If-Match

    @property
    def scope(self) -> str:
        """The scope that a token needs."""
        if self.address.startswith("GET ") and self.address != PENDING:
            return "read"
        return "moderate" if self.address.partition(" ")[2].startswith(MODERATING) else "manage"


Answer = ResponseReturnValue
View = TypeVar("View", bound=Callable[..., Answer])


class Calls(Blueprint):
    """The calls about a subject, with the schemas of their bodies by their names in the document."""

    def __init__(self, name: str, **schemas: Schema) -> None:
        super().__init__(name, __name__)
        self.schemas = schemas
        self.described: dict[str, Call] = {}  # by the name of the view

    def serve(self, address: str, answers: dict[int, str | None], **more: Any) -> Callable[[View], View]:
        """Serve a view at an address such as `GET /webhooks/{webhook_id}`; `more` is what `Call` has.

        In the document, its docstring is the summary, and its name the operationId.
        """

        def add(view: View) -> View:
            self.add(view, view.__name__, view.__doc__ or "", address, answers, **more)
            return view

        return add

    def add(self, view: View, name: str, summary: str, address: str, *answers: Any, **more: Any) -> None:
        """Serve a view under a name such as `get_webhook`, with the first line of its summary."""
        method, path = address.split()
        rule = path.replace("{", "<").replace("}", ">")
        self.add_url_rule(rule, name, view, methods=[method])
        first, *rest = name.split("_")
        operation, line = first + "".join(map(str.title, rest)), summary.partition("\n")[0]
        self.described[name] = Call(operation, address, line.removesuffix("."), *answers, **more)


def current() -> Call:
    """Return what the document says of this request."""
    return subject().described[(request.endpoint or "").rpartition(".")[2]]


def subject() -> Calls:
    """Return the calls among which this request's is."""
    found = current_app.blueprints[request.blueprint or ""]
    assert isinstance(found, Calls)
    return found


def parameters(place: str, schemas: Schema, **more: bool) -> list[dict[str, Any]]:
    """Return the parameters with these schemas; each description stands beside the schema, not in it."""
    return [
        {
            **{"name": name, "in": place, **more, "description": one["description"]},
            "schema": {rule: part for rule, part in one.items() if rule != "description"},
        }
        for name, one in schemas.items()
    ]
