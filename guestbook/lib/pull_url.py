"""The URL of webhooks whose receiver fetches the deliveries. An idle pass needs it without SQLAlchemy."""

PULL_URL = "pull:"  # no pass sends them
