"""How long a held comment may wait for its owner. An idle pass reads this too."""

from datetime import timedelta

REMIND_AFTER = timedelta(days=1)  # the owner is reminded then
LINK_LASTS = timedelta(days=7)  # a link to moderate works for so long after its message was made
