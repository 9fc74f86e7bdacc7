"""What may go from a store, and how much must. Each build looks at it, so it stands apart from what removes."""

from pybuild.runtime.values import frozen

REGULAR, CACHE_MOUNT = "regular", "exec.cachemount"


@frozen
class Policy:
    """What may go, and how much must; sizes in bytes. Without any limit of size all of what may go goes."""

    until: float | None = None
    """Only what was not used for this many seconds."""
    reserved_space: int | None = None
    """The cache is never made smaller than this."""
    max_used_space: int | None = None
    min_free_space: int | None = None
    kind: str = ""
    """Only ``regular``, results of steps, or ``exec.cachemount``, cache mounts; "" is both."""

    def takes(self, is_mount: bool) -> bool:
        """Tell whether what is a cache mount, or what is none, may go."""
        return not self.kind or self.kind == (CACHE_MOUNT if is_mount else REGULAR)

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing is asked for."""
        return self == Policy()

    @property
    def is_sized(self) -> bool:
        """Tell whether there is a limit of size."""
        return (self.reserved_space, self.max_used_space, self.min_free_space) != (None, None, None)

    def room(self, used: int, free: int) -> int:
        """Return how many bytes the cache may keep of the *used* ones, when *free* are left on the disk."""
        limits = []
        if self.max_used_space is not None:
            limits.append(self.max_used_space)
        if self.min_free_space is not None:
            limits.append(used - max(0, self.min_free_space - free))
        return max(min(limits, default=0), self.reserved_space or 0)
