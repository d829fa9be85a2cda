"""What the owner does on an admin page, a program does by the API: a new page needs a call or a reason."""

from collections.abc import Iterable
from dataclasses import fields

import pytest
from flask import Flask

from guestbook.inbound.sender_presets import SCHEME_DEFAULTS
from guestbook.queries.filtered_lists import AuditFilter
from guestbook.storage.preferences import PREFERENCE_FIELDS
from guestbook.web.admin.bins import NEW_BIN
from guestbook.web.admin.comments import CommentFilter
from guestbook.web.admin.queue import DELIVERY_LIST, EVENT_LIST
from guestbook.web.admin.sources import SourceForm
from guestbook.web.admin.webhooks import WebhookForm
from guestbook.web.api.bins import BIN_COLUMNS
from guestbook.web.api.openapi import CALLS, SCHEMAS

COMMENT, WEBHOOK, SOURCE = "/comments/{comment_id}", "/webhooks/{webhook_id}", "/sources/{source_id}"
DELIVERY, EVENT, BIN = "/deliveries/{delivery_id}", "/inbox/{event_id}", "/bins/{bin_id}"
REQUEST = f"{BIN}/requests/{{request_id}}"
CALLS_OF_PAGES = {
    "dashboard.index": ["GET /statistics", "GET /comments", "GET /deliveries"],
    "comments.index": ["GET /comments", "GET /statistics"],
    "comments.show": [f"GET {COMMENT}", "GET /deliveries"],
    "comments.edit": [f"PATCH {COMMENT}"],
    "comments.reply": [f"PATCH {COMMENT}"],
    "comments.move": [f"PATCH {COMMENT}", "POST /moderate"],
    "comments.delete": [f"DELETE {COMMENT}"],
    "comments.bulk": ["POST /moderate"],
    "webhooks.index": ["GET /webhooks", "GET /statistics"],
    "webhooks.add": ["POST /webhooks"],
    "webhooks.show": [f"GET {WEBHOOK}", f"GET {WEBHOOK}/statistics"],
    "webhooks.change": [f"PATCH {WEBHOOK}"],
    "webhooks.enable": [f"PATCH {WEBHOOK}"],
    "webhooks.disable": [f"PATCH {WEBHOOK}"],
    "webhooks.secret": [f"POST {WEBHOOK}/reveal-secret"],
    "webhooks.delete": [f"DELETE {WEBHOOK}"],
    "webhooks.preview": ["POST /previews/webhook"],
    "webhooks.ping": [f"POST {WEBHOOK}/test"],
    "webhooks.example": [f"POST {WEBHOOK}/test"],
    "webhooks.rotate": [f"POST {WEBHOOK}/rotate-secret"],
    "webhooks.rotate_key": [f"POST {WEBHOOK}/rotate-key"],
    "backfill.ask": [f"POST {WEBHOOK}/backfill"],
    "backfill.send": [f"POST {WEBHOOK}/backfill"],
    "webhooks.show_links": [f"GET {WEBHOOK}/receiver-links"],
    "webhooks.revoke_link": [f"POST {WEBHOOK}/receiver-links/{{link_id}}/revoke"],
    "deliveries.index": ["GET /deliveries"],
    "deliveries.show": [f"GET {DELIVERY}"],
    "deliveries.payload": [f"GET {DELIVERY}"],
    "deliveries.requeue": [f"POST {DELIVERY}/redeliver"],
    "deliveries.requeue_many": ["POST /redeliver"],
    "sources.index": ["GET /sources", "GET /statistics"],
    "sources.add": ["POST /sources"],
    "sources.show": [f"GET {SOURCE}", f"GET {SOURCE}/statistics", "GET /inbox"],
    "sources.change": [f"PATCH {SOURCE}"],
    "sources.enable": [f"PATCH {SOURCE}"],
    "sources.disable": [f"PATCH {SOURCE}"],
    "sources.secret": [f"POST {SOURCE}/reveal-secret"],
    "sources.delete": [f"DELETE {SOURCE}"],
    "sources.preview": ["POST /previews/source"],
    "sources.send_sample": [f"POST {SOURCE}/test"],
    "sources.rotate": [f"POST {SOURCE}/rotate-secret"],
    "inbox.index": ["GET /inbox"],
    "inbox.show": [f"GET {EVENT}"],
    "inbox.payload": [f"GET {EVENT}"],
    "inbox.requeue": [f"POST {EVENT}/reprocess"],
    "inbox.requeue_many": ["POST /reprocess"],
    "bins.index": ["GET /bins"],
    "bins.add": ["POST /bins"],
    "bins.show": [f"GET {BIN}", f"GET {BIN}/requests"],
    "bins.change": [f"PATCH {BIN}"],
    "bins.remove": [f"DELETE {BIN}", f"DELETE {BIN}/requests"],
    "bins.show_request": [f"GET {REQUEST}"],
    "bins.request_body": [f"GET {REQUEST}"],
    "bins.replay_request": [f"POST {REQUEST}/replay"],
    "settings.index": ["GET /settings"],
    "settings.look": ["GET /settings"],
    "settings.embed": ["GET /settings"],
    "settings.save": ["PATCH /settings"],
    "settings.allow_asking_site": ["PATCH /settings"],
    "account.revoke_token": ["GET /tokens", "DELETE /tokens/{token_id}"],
    "audit.show_audit": ["GET /audit"],
    "doctor.examine": ["GET /doctor"],
    "events.list_events": ["GET /events"],
    "comments.show_spam": ["GET /spam"],
    "comments.end_flood": ["POST /spam/end-flood"],
    "comments.forget": ["POST /spam/forget"],
    "welcome.show_webhook": ["POST /bins", "POST /webhooks", f"POST {WEBHOOK}/test"],
    "welcome.send_newest": [f"GET {DELIVERY}"],
    "welcome.tell_of_comments": ["POST /webhooks", f"POST {WEBHOOK}/test"],
    "welcome.allow_website": ["PATCH /settings"],
}
NO_LASTING_ACCESS = "A stolen token must not become lasting access, nor lock the owner out."
AN_EMPTY_FORM = "It only shows a form; the call that saves it has its fields."
WITHOUT_CALL = {
    **dict.fromkeys(("webhooks.new", "webhooks.edit", "sources.new", "sources.edit"), AN_EMPTY_FORM),
    **dict.fromkeys(("bins.new", "bins.edit"), AN_EMPTY_FORM),
    **dict.fromkeys(
        (
            *("login.log_in", "login.check", "login.ask_code", "login.check_code", "login.log_out"),
            *("account.index", "account.change_password", "account.add_token"),
            *("account.log_out_browser", "account.log_out_everywhere", "account.change_cron_address"),
            *("second_factor.show_factor", "second_factor.change_factor", "second_factor.confirm_factor"),
            *("setup.ask_code", "setup.enter_code", "setup.show_setup", "setup.finish"),
            *("setup.make_tables", "setup.restore_backup", "setup.show_room", "setup.make_room"),
            *("setup.show_key", "setup.put_key", "webhooks.add_link"),
        ),
        NO_LASTING_ACCESS,
    ),
    **dict.fromkeys(("settings.add_form", "settings.delete_form"), "Its code is for a page of a person."),
    "deliveries.explain": "It teaches a person how to verify; programs have libraries for that.",
    "welcome.show_welcome": "It leads a person to other pages.",
    "undo.undo": "A program knows the state before, and sets it again.",
}


def pages(app: Flask) -> set[str]:
    """The views of the admin pages."""
    return {
        rule.endpoint.removeprefix("admin.")
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("admin.")
    }


def test_every_page_has_its_calls_or_a_reason_why_not(app: Flask) -> None:
    assert pages(app) == CALLS_OF_PAGES.keys() | WITHOUT_CALL.keys(), (
        "Build a call for a new page, and add it to CALLS_OF_PAGES; or say in WITHOUT_CALL why there is none."
    )
    assert not CALLS_OF_PAGES.keys() & WITHOUT_CALL.keys()
    assert {call for some in CALLS_OF_PAGES.values() for call in some} <= CALLS.keys()


def test_every_setting_of_the_pages_is_one_of_the_api() -> None:
    assert SCHEMAS["SettingChanges"]["properties"].keys() == set(PREFERENCE_FIELDS)


@pytest.mark.parametrize(
    ("form_fields", "body", "names"),
    [
        ([one.name for one in fields(WebhookForm)], "NewWebhook", {"key": None, "preset": None}),
        (
            [one.name for one in fields(SourceForm)],
            "NewSource",
            {"key": None, "ready": None, **dict.fromkeys(SCHEME_DEFAULTS, "scheme")},
        ),
        (NEW_BIN, "NewBin", BIN_COLUMNS),
    ],
)
def test_forms_fit_the_api(form_fields: Iterable[str], body: str, names: dict[str, str | None]) -> None:
    wanted = {names.get(field, field) for field in form_fields} - {None}
    assert wanted <= SCHEMAS[body]["properties"].keys()


def test_every_filter_of_a_list_is_a_parameter() -> None:
    of_audit = {"action", "actor"}
    assert of_audit <= set(AuditFilter.__annotations__)
    for path, wanted in {
        "/deliveries": set(DELIVERY_LIST.parsers),
        "/inbox": set(EVENT_LIST.parsers),
        "/comments": {field.name for field in fields(CommentFilter)},
        "/audit": of_audit,
    }.items():
        assert wanted <= CALLS[f"GET {path}"].query.keys(), path
