"""The network of a RUN. Keys hold the network that was requested, so that a cache does not depend on the host."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from urllib.parse import urlsplit

from pybuild.builder.plan.ops import Run
from pybuild.runtime.sandbox.spec import Network

_ASKED = {"none": Network.NONE, "host": Network.HOST, "private": Network.PRIVATE}


@contextmanager
def prepared(
    op: Run, say: Callable[[str], None], tell_once: Callable[[str, str], None]
) -> Iterator[Callable[[], Network]]:
    """Start a private network for *op* in the background, if it needs one; yield a function that returns its network.

    ``default`` is the network of the host for root. Without root it is a private one where the host has what that
    takes. Where it never works, the reason goes to *tell_once* with the topic "network", so that a store is told once.
    *say* takes notes about this step, such as that a private network failed and the host's is used.
    """
    wanted = _ASKED.get(op.network)
    if wanted in {Network.NONE, Network.HOST}:
        yield lambda: wanted
        return
    # Imported here because most builds by root have no private network.
    from pybuild.runtime.private_networks import pool, private

    lacking = private.missing() if wanted is None and not private.is_root() else ""
    if lacking:
        tell_once("network", f"steps use the network of the host: {lacking}")
    if lacking or (wanted is None and private.is_root()):
        yield lambda: Network.HOST
        return
    pool.start_ahead()
    try:
        yield lambda: _found(op, say)
    finally:
        pool.drop_ahead()


def expecting(ops: Iterable[Run]) -> AbstractContextManager[None]:
    """Return a context manager, in whose block the private network of the next step starts while another one runs."""
    wanted = [_ASKED.get(op.network) for op in ops]
    if all(network in {Network.NONE, Network.HOST} for network in wanted):
        return nullcontext()
    from pybuild.runtime.private_networks import pool, private

    by_default = not private.is_root() and not private.missing()
    return pool.expecting(wanted.count(Network.PRIVATE) + by_default * wanted.count(None))


def _found(op: Run, say: Callable[[str], None]) -> Network:
    from pybuild.runtime.private_networks import pool

    if op.network == "default" and (reason := pool.await_ahead()):
        say(f"note: steps use the network of the host: {reason}")
        return Network.HOST
    for name, value in op.proxies:
        if is_loopback(value):
            say(f"note: {name} is on the loopback interface of the host, which only --network=host reaches")
            break
    for name, address in op.hosts:
        # This includes --add-host NAME:host-gateway, which means the loopback address on the network of the host.
        if is_loopback(address):
            say(f"note: {name} is the loopback interface of the step; only --network=host reaches that of the host")
    return Network.PRIVATE


def is_loopback(address: str) -> bool:
    """Return whether *address*, which may be a URL or ``HOST:PORT``, is on the loopback interface."""
    try:
        host = urlsplit(address if "//" in address else f"//{address}").hostname or ""
    except ValueError:
        return False
    return host in {"localhost", "::1"} or host.startswith("127.")
