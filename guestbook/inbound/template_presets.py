"""Ready-made templates that turn events into comments: of forges, shops, other guestbooks, scripts. Pure.

A template gets `event`, `action`, `payload`, `sender` and `source`; it may set `name` and `website`, and its
text becomes the message. No text, no comment.
"""

from guestbook.inbound.forge_templates import FORGE_TEMPLATES
from guestbook.inbound.shop_templates import SHOP_TEMPLATES

# A command with one text, such as /sign, that somebody types in Discord.
_DISCORD_TEMPLATE = """\
{% set person = (payload.member or {}).user or payload.user or {} %}
{% set name = person.global_name or person.username or source %}
{% if payload.type == 2 %}
{{ (((payload.data or {}).options or [])|first or {}).value or "" }}
{% endif %}
"""

_GUESTBOOK = """\
{% set comment = (payload.data or {}).comment or {} %}
{% if payload.type in ("comment.created", "comment.published") and comment.status == "published" %}
{% set name = comment.name or source %}
{% set website = comment.website or "" %}
{{ comment.message }}
{% endif %}
"""

# For your own scripts: the fields of this book's form, as JSON or as a form, or plain text. Others say
# text, content or title.
_PLAIN = """\
{% set fields = payload if payload is mapping else {} %}
{% set name = fields.name if fields.name is string else sender or source %}
{% set website = fields.website or "" %}
{% set words = fields.message or fields.text or fields.content or fields.title or payload %}
{{ words if words is string else "" }}
"""

PRESETS = {
    **FORGE_TEMPLATES,
    **SHOP_TEMPLATES,
    "discord": _DISCORD_TEMPLATE,
    "guestbook": _GUESTBOOK,
    "plain": _PLAIN,
}
