"""Docker's longer names of commands, such as ``image ls`` and ``system df``: two words for one command of ours."""

from collections.abc import Mapping, Sequence

_IMAGE = ("build", "history", "import", "inspect", "load", "pull", "push", "save", "tag")
_CONTAINER = (
    *("attach", "commit", "cp", "create", "diff", "exec", "export", "kill", "logs", "pause", "port", "rename"),
    *("restart", "rm", "run", "start", "stats", "stop", "top", "unpause", "update", "wait"),
)
ALIASES: Mapping[tuple[str, str], tuple[str, ...]] = {
    **{("image", name): (name,) for name in _IMAGE},
    ("image", "inspect"): ("inspect", "--type=image"),
    **dict.fromkeys((("image", "ls"), ("image", "list")), ("images",)),
    **dict.fromkeys((("image", "rm"), ("image", "remove")), ("rmi",)),
    ("image", "prune"): ("image prune",),
    **{("container", name): (name,) for name in _CONTAINER},
    **dict.fromkeys((("container", "ls"), ("container", "list"), ("container", "ps")), ("ps",)),
    ("container", "inspect"): ("inspect", "--type=container"),
    ("container", "remove"): ("rm",),
    ("container", "prune"): ("container prune",),
    ("builder", "build"): ("build",),
    ("buildx", "build"): ("build",),
    ("builder", "prune"): ("prune", "--build-cache"),
    ("buildx", "prune"): ("prune", "--build-cache"),
    ("system", "df"): ("df",),
    ("system", "prune"): ("prune", "--containers"),
    ("system", "info"): ("info",),
    ("system", "events"): ("events",),
}
FAMILIES = frozenset(family for family, _ in ALIASES)
"""First words that need a second one."""


def spelled_out(words: Sequence[str]) -> list[str]:
    """Return *words* with a leading Docker name of a command replaced by pybuild's."""
    ours = ALIASES.get((words[0], words[1])) if len(words) > 1 else None
    return [*ours, *words[2:]] if ours else list(words)
