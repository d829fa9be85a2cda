"""Fit a pass to what this host allows: files, threads and memory."""

from guestbook.lib import resource_limits
from guestbook.outbound.tasks import DeliveryTask, Outcome
from guestbook.outbound.worker_pool import WorkerPool
from guestbook.transport import Transport

SLOWED = (
    "this host limits {0}, so the pass used {1} of {2} threads. Nothing is lost. "
    "With --concurrency {1} cron does not say so again."
)
NO_ROOM = "This host allows not a single request: it limits {}."


class HostLimits:
    """Keeps a worker pool and its transport within the limits, and names the limit that was met."""

    def __init__(self, pool: WorkerPool[DeliveryTask, Outcome], transport: Transport) -> None:
        self._pool = pool
        self._transport = transport
        self._wished = pool.size
        self._limit: str | None = None
        self._reserve = resource_limits.Reserve()

    def fit(self) -> None:
        """Use what the host allows beside the database, whose files must be open by now."""
        resource_limits.bound_arenas()
        room = resource_limits.room(self._pool.size)
        self._limit = room.limit
        self._pool.limit(room.threads)
        lookups = room.threads if room.limit else None
        self._transport.limit(connections=room.connections, lookups=lookups)

    def free_memory(self) -> None:
        """Give up what the pass can do without, after a MemoryError."""
        self._limit = resource_limits.MEMORY_LIMIT
        self._reserve.give_up()
        self._pool.limit(max(1, self._pool.threads // 2))
        self._pool.was_short = True
        self._transport.limit(connections=0)

    def no_room(self, met: str | None) -> str | None:
        """Return a sentence when not a single thread is left. `met` is the limit that stopped a request."""
        return None if self._pool.size else NO_ROOM.format(self._name(met))

    def slowed(self, met: str | None) -> str | None:
        """Return a sentence when the pass used fewer threads than it could have used."""
        if not self._pool.was_short:
            return None
        return SLOWED.format(self._name(met), self._pool.size, self._wished)

    def close(self) -> None:
        """Free what a pass holds."""
        self._transport.close()
        self._reserve.give_up()

    def _name(self, met: str | None) -> str:
        refused = resource_limits.why_no_thread() if self._pool.was_refused else None
        return met or refused or self._limit or resource_limits.THREAD_LIMIT
