"""The tables of the first version that this program upgrades: schema.sql of commit 06c88a99."""

revision = "0024"
down_revision = None
