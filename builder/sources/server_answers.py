"""What servers answered about remote sources."""

from datetime import UTC

from pybuild.runtime.values import frozen


@frozen
class KnownFile:
    """The content at the URL of a file, and the answer of its server about it."""

    digest: str
    etag: str = ""
    last_modified: str = ""

    @property
    def mtime(self) -> int:
        """The Last-Modified of the file in seconds, 0 when there was none."""
        from email.utils import parsedate_to_datetime

        try:
            moment = parsedate_to_datetime(self.last_modified)
        except (ValueError, IndexError):
            return 0
        return max(0, int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()))


@frozen
class ResolvedName:
    """What a name means in a repository: the commit, the full name, and the tag object that leads there, if any."""

    commit: str
    name: str = ""
    tag_object: str = ""
