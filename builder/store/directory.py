"""The directory of a store: finding it, checking it, and keeping other users out."""

import os
import stat
from contextlib import suppress
from errno import EACCES, EEXIST, ENOSYS, ENOTDIR, EOPNOTSUPP, EPERM, EROFS
from pathlib import Path

from pybuild.builder.errors import RequestError, StoreError
from pybuild.builder.oci.layout import Layout
from pybuild.builder.store.free_space import FULL, make_reserve
from pybuild.runtime.errors import kernel_reason

_PARTS = ("locks", "tmp", "cache-mounts")
_DATABASE = "pybuild.db"
_MARKS = (_DATABASE, "locks")
"""Names that a store has, and image layouts of other programs do not."""
# mkfs.ext4 creates it, and a store may be at the top of a file system of its own.
_OF_THE_FILE_SYSTEM = frozenset({"lost+found"})
_NOBODY = 65534
"""The owner of files that root writes to some network file systems."""
_PROBE = "probe-"
_UNSUPPORTED = frozenset({EPERM, EOPNOTSUPP, ENOSYS})
OVERLAY, COPYING = "snapshots", "trees"
"""What the directories of snapshotters below the root of the store are called, with or without a suffix."""
OWNERS = "owners"
"""The owners of symbolic links in those, where a user has no ids for them."""
_CACHE_MOUNTS = "cache-mounts"
_EMPTY = frozenset({"empty", "lock"})
"""What a directory of trees has before the first one."""
_ELSEWHERE = "choose the directory of the store with $PYBUILD_ROOT or --root"


def default_root() -> Path:
    """Return the directory of the store: $PYBUILD_ROOT, else /var/lib/pybuild for root, else below $XDG_DATA_HOME.

    Raises:
        StoreError: this user has no home directory.
    """
    chosen = os.environ.get("PYBUILD_ROOT")
    if chosen:
        return Path(chosen).absolute()
    if os.geteuid() == 0:
        return Path("/var/lib/pybuild")
    given = os.environ.get("XDG_DATA_HOME")
    return Path(given).absolute() / "pybuild" if given else _home() / ".local" / "share" / "pybuild"


def _home() -> Path:
    import pwd

    try:
        # An empty variable counts as one that is not set, as in a shell's ${HOME:-...}.
        return Path(os.environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir).absolute()
    except KeyError:
        raise StoreError(
            f"no directory for the store: $HOME is not set, and the user {os.geteuid()} has no home", hint=_ELSEWHERE
        ) from None


def has_trees(root: Path) -> bool:
    """Return whether the store at *root* holds files with owners of their own: unpacked layers, or cache mounts."""
    try:
        found = [name for name in os.listdir(root) if name.startswith((OVERLAY, COPYING, _CACHE_MOUNTS))]
        return any(set(os.listdir(root / name)) - _EMPTY for name in found)
    except (FileNotFoundError, NotADirectoryError):
        return False


def copies_trees(root: Path) -> bool:
    """Return whether all snapshots of the store at *root* are whole copies, as where overlayfs does not work."""
    names = os.listdir(root)
    # To find out that overlayfs does not work, its directory is created.
    overlays = any(set(os.listdir(root / name)) - _EMPTY for name in names if name.startswith(OVERLAY))
    return any(name.startswith(COPYING) for name in names) and not overlays


def prepare(root: Path) -> bool:
    """Make *root* a store, or check that it is one; return whether it is writable.

    Raises:
        RequestError: it is something else.
        StoreError: it cannot be created, or is not private and cannot be made so.
    """
    try:
        return _prepare(root)
    except OSError as error:
        raise _cannot_make(root, error) from error


def _prepare(root: Path) -> bool:
    known = _is_store(root)
    _check_database(root / _DATABASE)
    if not known:
        _check_foreign(root)
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not os.access(root, os.W_OK):
        if known:
            return False
        raise _refused(root)
    if known:
        _check_owner(root)
    _make_private(root)
    if not known:
        Layout(root).begin()
        # While the store is empty: later, a step would fail with the words of whatever it was writing.
        _need_links(root)
    for name in _PARTS:
        (root / name).mkdir(mode=0o700, exist_ok=True)
    make_reserve(root)
    return True


def _is_store(root: Path) -> bool:
    # Either is enough: the database is created by the first query.
    return any((root / name).exists() for name in _MARKS)


def _check_database(path: Path) -> None:
    """Refuse other files than regular ones: opening a pipe would block for ever."""
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(path.stat().st_mode):
            raise StoreError(f"{path} is not a regular file", hint="move it away: a new one will be created")


def _check_owner(root: Path) -> None:
    """Keep root out of a user's store: what it leaves there the user could neither change nor remove."""
    with suppress(FileNotFoundError):
        owner = (root / "oci-layout").stat().st_uid
        if os.geteuid() == 0 and owner not in {0, _NOBODY}:
            raise StoreError(f"the store {root} is that of user {owner}, and this is root", hint=_ELSEWHERE)


def _check_foreign(root: Path) -> None:
    try:
        found = set(os.listdir(root)) - _OF_THE_FILE_SYSTEM
    except FileNotFoundError:
        return
    # These are all that a builder leaves that was killed while it created the store.
    if {name for name in found if not name.startswith(_PROBE)} - {"oci-layout"}:
        raise RequestError(f"{root} is not empty, and is not a store of pybuild", hint=_ELSEWHERE)


def _need_links(root: Path) -> None:
    """Refuse a file system without links, such as FAT: the files of an image could not be kept on it."""
    probe = root / f"{_PROBE}{os.urandom(8).hex()}"
    for kind, make in (("symbolic", os.symlink), ("hard", os.link)):
        try:
            make(root / "oci-layout", probe)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            text = f"cannot create the store {root}: its file system has no {kind} links"
            raise StoreError(text, hint=_ELSEWHERE) from error
        probe.unlink()


def _make_private(root: Path) -> None:
    """Keep other users out: layers hold set-user-id programs, and blobs hold files of all modes."""
    mode = stat.S_IMODE(root.stat().st_mode)
    if not mode & 0o077:
        return
    # What counts is the effect: with the mount option "quiet", FAT ignores chmod without an error (mount(8)).
    with suppress(PermissionError):
        root.chmod(0o700)
    if stat.S_IMODE(root.stat().st_mode) & 0o077:
        raise StoreError(
            f"other users can read the store {root}, and its mode cannot be changed",
            hint="it belongs to another user, or its file system has no modes: mount that with umask=077",
        )


def _refused(root: Path) -> OSError:
    number = EROFS if os.statvfs(root).f_flag & os.ST_RDONLY else EACCES
    return OSError(number, os.strerror(number), os.fspath(root))


def _cannot_make(root: Path, error: OSError) -> StoreError:
    if error.errno in {EEXIST, ENOTDIR}:
        return StoreError(f"cannot create the store {root}: it exists and is not a directory")
    owner = _owner(root)
    if error.errno in {EACCES, EPERM} and owner not in {None, os.geteuid()}:
        return StoreError(f"{root} belongs to {_user(owner)}, and this is {_user(os.geteuid())}", hint=_ELSEWHERE)
    # Below a directory that this user may not search, nobody knows whether there is a store.
    verb = "create" if owner is not None or os.access(root.parent, os.X_OK) else "open or create"
    hint = _ELSEWHERE if error.errno in {EACCES, EROFS, *FULL, *_UNSUPPORTED} else ""
    return StoreError(f"cannot {verb} the store {root}: {kernel_reason(error)}", hint=hint)


def _owner(root: Path) -> int | None:
    """Return the user whom *root* belongs to; None when it does not exist, or cannot be seen."""
    with suppress(OSError):
        return root.stat().st_uid
    return None


def _user(number: int | None) -> str:
    import pwd

    try:
        return f"the user {pwd.getpwuid(number or 0).pw_name}"
    except KeyError:
        return f"user {number}"
