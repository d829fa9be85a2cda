"""The usual name of a browser, from its user agent."""

# Part of a user agent → its usual name. The first match counts, because most claim to be others too.
BROWSERS = {
    "Edg": "Edge", "OPR/": "Opera", "SamsungBrowser": "Samsung Internet", "Firefox": "Firefox",
    "FxiOS": "Firefox", "Chrome": "Chrome", "CriOS": "Chrome", "Safari": "Safari",
}  # fmt: skip
SYSTEMS = {
    "iPhone": "an iPhone", "iPad": "an iPad", "Android": "Android", "Windows": "Windows", "CrOS": "ChromeOS",
    "Mac": "a Mac", "Linux": "Linux",
}  # fmt: skip


def browser_name(agent: str) -> str:
    """Return the usual name of a browser: `Firefox on Linux`."""
    browser = next((name for sign, name in BROWSERS.items() if sign in agent), None)
    system = next((name for sign, name in SYSTEMS.items() if sign in agent), None)
    if browser is None:
        return agent.split(" ")[0][:40] or "Unknown browser"
    return f"{browser} on {system}" if system else browser
