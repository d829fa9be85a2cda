"""Small pieces that know nothing of a guestbook; and the version that receivers see in the User-Agent."""

VERSION = "0.1.0"
