"""Messages that the user of a store gets only once: an empty file in the store marks each topic."""

from typing import TYPE_CHECKING

from pybuild.runtime.sandbox.isolation import single_id_reason

if TYPE_CHECKING:
    from pybuild.builder.store.store import Store

_TOLD = "told-"
_SINGLE = (
    "steps run with the id of the user alone, and other owners are recorded (isolation single, see pybuild doctor)"
)


def tell_once(store: "Store", topic: str, text: str) -> None:
    """Pass *text* on unless the user of *store* was told of *topic* before."""
    try:
        (store.root / f"{_TOLD}{topic}").touch(mode=0o600, exist_ok=False)
    except FileExistsError:
        return
    except OSError:  # it is said again next time
        pass
    store.tell(text)


def tell_isolation(store: "Store") -> None:
    """Say that steps run in a weaker isolation than usual, unless the user chose it."""
    if reason := single_id_reason():
        tell_once(store, "single", f"{reason}: {_SINGLE}")
