"""The API's calls for the settings, the statistics, spam, tokens, doctor, and for previews."""

from guestbook.web.api.api_call import Call
from guestbook.web.api.query_parameters import FULL_PAGE_QUERY

OWNER_CALLS = {
    "GET /settings": Call("getSettings", "Show the settings of the book", {200: "Settings"}),
    "PATCH /settings": Call(
        "updateSettings",
        "Change settings of the book; others stay",
        {200: "Settings"},
        body="SettingChanges",
        may_match=True,
    ),
    "GET /statistics": Call(
        "getStatistics",
        "Show how the book, its oldest webhooks and its oldest sources are doing",
        {200: "Statistics"},
    ),
    "GET /webhooks/{webhook_id}/statistics": Call(
        "getWebhookStatistics",
        "Show the attempts of a webhook, and its next deliveries",
        {200: "WebhookStatistics"},
    ),
    "GET /sources/{source_id}/statistics": Call(
        "getSourceStatistics", "Show how a source is doing", {200: "SourceFigures"}
    ),
    "GET /spam": Call("getSpam", "Show refused comments, a flood and what the score knows", {200: "Spam"}),
    "POST /spam/end-flood": Call("endFlood", "End the hour in which a flood holds all comments", {204: None}),
    "POST /spam/forget": Call("forgetWords", "Erase what the score has learned", {200: "Forgotten"}),
    "GET /tokens": Call(
        "listTokens", "List the tokens, without their values", {200: "Tokens"}, query=FULL_PAGE_QUERY
    ),
    "DELETE /tokens/{token_id}": Call("revokeToken", "Revoke a token", {204: None}),
    "GET /doctor": Call("examine", "Look for problems, as doctor does", {200: "Examination"}),
    "GET /presets": Call(
        "getPresets", "Show known senders, ready-made templates and ready-made webhooks", {200: "Presets"}
    ),
    "POST /previews/webhook": Call(
        "previewWebhook",
        "Show the body that a webhook would get",
        {200: "PayloadPreview"},
        body="WebhookPreview",
    ),
    "POST /previews/source": Call(
        "previewSource",
        "Show the comment that a template would make",
        {200: "CommentPreview"},
        (404,),
        body="SourcePreview",
    ),
}
