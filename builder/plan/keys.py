"""Cache keys (DESIGN, "Keys, snapshots, layers").

The key of a vertex covers its op, the key of the rootfs that it changes, and the *content* that it selects from other
inputs: never the name of a source file, the key of the stage it came from, a time or a secret. So a changed stage whose
copied files did not change does not change the keys of vertices that copy them.

The content of a selection from a stage is known before the stage runs when the same definition was solved before: the
cache maps the definition of a selection (pick, key of the stage) to the digest of its content.

`MEANING` has the version of the meaning of each kind of op, which is part of the key.
"""

import re
from collections.abc import Mapping

from pybuild.builder.oci.digest import Digest
from pybuild.builder.plan import codec
from pybuild.builder.plan.ops import (
    Base,
    Copy,
    Exact,
    Git,
    Http,
    Mkdir,
    Op,
    Pick,
    Run,
    RunMount,
    Scratch,
    SecretMount,
    SshMount,
)
from pybuild.runtime.values import replace

MEANING: Mapping[type, int] = {Scratch: 1, Base: 1, Http: 1, Git: 1, Copy: 3, Mkdir: 1, Run: 2, Pick: 3}
"""The version of the meaning of each kind of op. Increase it by one when the same op gives another result than before.

`Pick` is the entry for the digest of selected content. The version of the package is not part of any key.
"""

_WILDCARDS = frozenset("*?[")
_NUMBERS = frozenset("0123456789:")
_COPIED_BITS = re.compile(r"=[ugo]|-[rwxXst]*X")


def picks(op: Op) -> tuple[Pick, ...]:
    """Return the picks of *op* from inputs other than its rootfs."""
    match op:
        case Copy():
            return tuple(source for source in op.sources if isinstance(source, Pick))
        case Run():
            # Input 0 is the rootfs, whose key is part of the key anyway, and -1 means no input.
            return tuple(mounted(mount.source, mount.input) for mount in op.mounts if mount.input > 0)
        case _:
            return ()


def mounted(path: str, number: int) -> Pick:
    """Return the pick of what a mount shows of input *number*. A path without wildcards is stored as it always was."""
    kind = Pick if _WILDCARDS.isdisjoint(path) else Exact
    return kind(path=path, input=number)


def excluded(op: Op) -> tuple[str, ...]:
    """Return the patterns that *op* excludes from its picks."""
    return op.exclude if isinstance(op, Copy) else ()


def key(op: Op, root: Digest | None, contents: tuple[Digest, ...], epoch: int | None = None) -> Digest:
    """Return the key of a vertex; *contents* are the digests of its picks, in order; no time is after *epoch*."""
    # The layers of a base keep their times: SOURCE_DATE_EPOCH is for new layers.
    limit = None if isinstance(op, Base | Scratch) else epoch
    found = tuple(str(content) for content in contents)
    return codec.digest("vertex", _meaning(op), _without_paths(op), str(root or ""), found, limit)


def _meaning(op: Op) -> int | tuple[int, int]:
    """Return the version of the meaning of *op*; a pair where only ops of its form have changed, and not their kind."""
    if isinstance(op, Run) and any(mount.env and not _is_required(mount) for mount in op.mounts):
        # The variable of a secret that was not given used to be unset; it is empty.
        return MEANING[Run], 3
    if isinstance(op, Run) and op.mounts:
        # A parent of a mount point used to stay when only its owner, mode or time was changed, and SSH_AUTH_SOCK was
        # unset without an agent. A tmpfs had the mode 1777 whatever it was mounted on.
        return MEANING[Run], 2
    if isinstance(op, Copy) and any(isinstance(it, Pick) and it.unpack for it in op.sources):
        # Directories that an archive only implies used to get the owner, and the set-group-ID bit of the one above.
        # Symlinks had the mode, and entries all extended attributes, that the archive has.
        return MEANING[Copy], 4
    if isinstance(op, Copy) and _COPIED_BITS.search(op.chmod):
        # "u=g" used to clear the set-user-id bit, and "-X" kept what no one may execute.
        return MEANING[Copy], 1
    return MEANING[type(op)]


def _is_required(mount: RunMount) -> bool:
    return isinstance(mount, SecretMount | SshMount) and mount.required


def own_key(op: Op, contents: tuple[Digest, ...], epoch: int | None = None) -> Digest | None:
    """Return the key of the layer of a vertex whose layer is the same on every rootfs; None for all others.

    This is COPY --link. Its record has only that layer, which fits any rootfs: after a change of the base, nothing is
    copied again. An owner that is given by name is looked up in the rootfs, which then stays an input.
    """
    return key(op, None, contents, epoch) if is_independent(op) else None


def is_independent(op: Op) -> bool:
    """Return whether the layer of *op* is the same on every rootfs."""
    return isinstance(op, Copy) and op.link and _NUMBERS.issuperset(op.chown)


def selection_key(op: Op, pick: Pick, source: Digest) -> Digest:
    """Return the definition of the selection of *op* by *pick* from an input with the key *source*."""
    parents = isinstance(op, Copy) and op.parents
    path = ("exact", pick.path) if isinstance(pick, Exact) else pick.path
    return codec.digest("selection", MEANING[Pick], path, excluded(op), parents, str(source))


def listing_key(listing: Digest) -> Digest:
    """Return the definition of a selection from a directory of the host, by the digest of its listing."""
    return codec.digest("listing", MEANING[Pick], str(listing))


def _without_paths(op: Op) -> Op:
    if isinstance(op, Copy):
        sources = tuple(replace(item, path="") if isinstance(item, Pick) else item for item in op.sources)
        return replace(op, sources=sources)
    return op
