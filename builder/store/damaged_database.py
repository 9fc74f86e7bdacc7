"""Moving a damaged database away, and one that is not ours. Imported only when there is a suspect one."""

import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pybuild.builder.errors import Cancelled, StoreError
from pybuild.builder.store import leases
from pybuild.builder.store.connections import connect
from pybuild.builder.store.database import is_damage, is_suspect, mark_of
from pybuild.builder.store.locks import LASTING, Locks
from pybuild.builder.store.schema import ForeignDatabase


def replace_unused(path: Path, locks: Locks, tell: Callable[[str], None]) -> None:
    """Rename the suspect database of a store, unless someone uses it, and *tell* the user."""
    # Processes that use it now may still read its rows; it is moved away when there are none.
    # Tried, not waited for: a later command can do it as well.
    with suppress(Cancelled), locks.exclusive(LASTING, lambda: True):
        target = None if leases.is_used(path.parent / "locks") else set_aside(path)
        if target is not None:
            tell(f"{path} was damaged, or not a database of pybuild: it is renamed to {target.name}, and replaced")


def set_aside(path: Path) -> Path | None:
    """Rename a suspect database, so that a new one is created; return its new name, None when it is sound.

    The caller has exclusive access.
    """
    if not is_suspect(path) or _is_sound(path):
        mark_of(path).unlink(missing_ok=True)
        return None
    target = path.with_name(f"{path.name}.damaged-{time.time_ns()}")
    # The log first: SQLite would apply one that was left to a new database.
    for suffix in ("-wal", "-shm"):
        log = path.with_name(path.name + suffix)
        if log.exists():
            log.rename(target.with_name(target.name + suffix))
    path.rename(target)
    mark_of(path).unlink(missing_ok=True)
    return target


def _is_sound(path: Path) -> bool:
    """Return whether SQLite finds no damage. "Locked" and "disk full" are no damage."""
    connection = None
    try:
        connection = connect(path)
        rows = connection.execute("PRAGMA quick_check(1)").fetchall()
    except ForeignDatabase:
        return False
    except StoreError:
        return True
    except sqlite3.Error as error:
        return not is_damage(error)
    finally:
        if connection is not None:
            connection.close()
    return rows == [("ok",)]
