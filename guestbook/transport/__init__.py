"""Requests to strangers' URLs, safely: checked addresses, one deadline, few bytes. And mail to the owner."""
