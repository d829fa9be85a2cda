"""The version that receivers see in the User-Agent."""

VERSION = "0.1.0"
