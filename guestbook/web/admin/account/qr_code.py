"""The address that an authenticator app reads, and its QR code as an SVG without styles."""

from urllib.parse import quote, urlencode, urlsplit

from markupsafe import Markup

ISSUER_LIMIT = 40  # characters: a long one would make the picture too fine for a camera
QR_TITLE = "QR code for your authenticator app"


def otpauth_url(secret: str, title: str, base_url: str) -> str:
    """Return the URL as https://github.com/google/google-authenticator/wiki/Key-Uri-Format describes it.

    The app shows the book's host, so that the owner of several books can tell them apart.
    """
    issuer = title.replace(":", " ")[:ISSUER_LIMIT].strip()
    label = quote(f"{issuer}:{urlsplit(base_url).hostname or 'admin'}")
    return f"otpauth://totp/{label}?{urlencode({'secret': secret, 'issuer': issuer}, quote_via=quote)}"


def svg(url: str) -> Markup:
    """Return an <svg> element; dark modules on white in every theme, as cameras want it."""
    import segno  # here: no other page needs it

    made = segno.make(url, error="m", micro=False)
    drawn = made.svg_inline(omitsize=True, light="#fff", title=QR_TITLE, svgclass="qr", lineclass=None)
    return Markup(drawn)  # of our own parts: segno escapes the title
