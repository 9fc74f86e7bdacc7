"""What may be removed from a store, and how much. A module of its own, because every build reads it."""

from pybuild.runtime.values import frozen

REGULAR, CACHE_MOUNT = "regular", "exec.cachemount"


@frozen
class Policy:
    """What may be removed, and how much; sizes in bytes. Without a limit of size all of it is removed."""

    until: float | None = None
    """Only data that was not used for this many seconds."""
    reserved_space: int | None = None
    """The cache is never made smaller than this."""
    max_used_space: int | None = None
    min_free_space: int | None = None
    kind: str = ""
    """Only ``regular``, results of steps, or ``exec.cachemount``, cache mounts; "" is both."""

    def takes(self, is_mount: bool) -> bool:
        """Return whether cache mounts, or records, may be removed."""
        return not self.kind or self.kind == (CACHE_MOUNT if is_mount else REGULAR)

    @property
    def is_empty(self) -> bool:
        """Whether there is no filter and no limit."""
        return self == Policy()

    @property
    def is_sized(self) -> bool:
        """Whether there is a limit of size."""
        return (self.reserved_space, self.max_used_space, self.min_free_space) != (None, None, None)

    def room(self, used: int, free: int) -> int:
        """Return how many of its *used* bytes the cache may keep when the disk has *free* bytes left."""
        limits = []
        if self.max_used_space is not None:
            limits.append(self.max_used_space)
        if self.min_free_space is not None:
            limits.append(used - max(0, self.min_free_space - free))
        return max(min(limits, default=0), self.reserved_space or 0)
