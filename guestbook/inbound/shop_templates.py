"""Ready-made templates for shops. They name buyers by their first name alone, and no address. Pure."""

# Amounts are in the smallest unit, which some currencies do not have: https://docs.stripe.com/currencies
_STRIPE_TEMPLATE = """\
{% set payment = (payload.data or {}).object or {} %}
{% set amount = payment.amount_total %}
{% if event == "checkout.session.completed" and payment.payment_status == "paid" and amount is integer %}
{% set currency = (payment.currency or "")|upper %}
{% set is_whole = currency in "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF UGX VND VUV XAF XOF XPF".split() %}
{% set cents = amount % 100 %}
{% set total = amount if is_whole else (amount // 100) ~ "." ~ ("0" if cents < 10 else "") ~ cents %}
{% set name = ((payment.customer_details or {}).name or "").split()|first or "Somebody" %}
{{ name }} paid {{ total }} {{ currency }}. Thank you!
{% endif %}
"""

_SHOPIFY_TEMPLATE = """\
{% set name = (payload.customer or {}).first_name or "Somebody" %}
{% if event == "orders/create" and payload.line_items and not payload.test %}
{% set count = payload.line_items|length %}
{% set more = " and " ~ (count - 1) ~ " more" if count > 1 else "" %}
{% set title = ((payload.line_items|first or {}).title or "something")|truncate(200) %}
{{ name }} ordered {{ title }}{{ more }}. Thank you!
{% elif event == "products/create" and payload.title and payload.status != "draft" %}
{% set name = payload.vendor or source %}
New in the shop: {{ payload.title|truncate(200) }}
{% endif %}
"""

SHOP_TEMPLATES = {"stripe": _STRIPE_TEMPLATE, "shopify": _SHOPIFY_TEMPLATE}
