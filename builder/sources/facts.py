"""What servers said of remote sources."""

from datetime import UTC

from pybuild.runtime.values import frozen


@frozen
class KnownFile:
    """What the address of a file led to, and what its server said of it."""

    digest: str
    etag: str = ""
    last_modified: str = ""

    @property
    def mtime(self) -> int:
        """The time of the file in seconds, 0 when the server did not say."""
        from email.utils import parsedate_to_datetime

        try:
            moment = parsedate_to_datetime(self.last_modified)
        except (ValueError, IndexError):
            return 0
        return max(0, int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()))


@frozen
class ResolvedName:
    """What a repository has under a name: the commit, the full name, and the tag object that leads there, if any."""

    commit: str
    name: str = ""
    tag_object: str = ""
