"""One path that differs between a snapshot and its parent."""

from enum import Enum
from typing import NamedTuple


class ChangeKind(Enum):
    """What happened to a path."""

    ADD = "add"
    MODIFY = "modify"
    DELETE = "delete"
    OPAQUE = "opaque"
    """The directory at this path hides all that the parent snapshot has in it. Follows the directory's own change."""


class Change(NamedTuple):
    """One path that differs. *path* is relative to the root, without a leading slash, surrogate-escaped."""

    kind: ChangeKind
    path: str
