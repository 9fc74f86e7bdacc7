"""Networks, on which the containers of a program find each other by name."""

from typing import TYPE_CHECKING, Self

from pybuild.builder.api.errors import public_operation
from pybuild.builder.store.store import Store

if TYPE_CHECKING:
    from pybuild.builder.networks.values import NetworkConfig


class Network:
    """A network of a store. As a context manager it is removed at the end of the block.

    Containers join it with `start`, and find each other there by their names.

        with pybuild.create_network("tests", store) as network:
            print(network.subnet)
    """

    def __init__(self, made: "NetworkConfig", store: Store) -> None:
        self._made, self._store = made, store

    def __enter__(self) -> Self:
        """Return the network."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Remove it."""
        self.remove()

    def __repr__(self) -> str:
        return f"<Network {self.name} {self.id[:12]}>"

    @property
    def id(self) -> str:
        """Its id, 64 hexadecimal digits."""
        return self._made.id

    @property
    def name(self) -> str:
        """Its name."""
        return self._made.name

    @property
    def subnet(self) -> str:
        """The addresses that its containers have, such as ``10.192.0.0/24``."""
        return self._made.subnet

    def remove(self) -> None:
        """Remove it; no error when it is gone. Raises `errors.NetworkError` when a container runs on it."""
        from pybuild.builder.networks.catalog import Networks

        with public_operation():
            Networks(self._store.root).remove(self._made)


def create_network(name: str, store: Store, *, subnet: str = "", internal: bool = False, ipv6: bool = False) -> Network:
    """Create a network, and return it. It outlives this program.

    Without a *subnet*, such as ``10.1.2.0/24``, it gets a free one. Containers on an *internal* network reach nothing
    outside of it. With *ipv6* they have addresses of IPv6, too.

        with pybuild.create_network("app", store, internal=True):
            pybuild.start("db", (), store, name="db", networks=("app",))

    Raises:
        errors.RequestError: the name or the subnet is invalid.
        errors.NetworkError: the name is taken, or the addresses of the subnet are.
    """
    from pybuild.builder.networks.catalog import Networks
    from pybuild.builder.networks.subnets import checked
    from pybuild.builder.networks.values import NetworkConfig

    with public_operation():
        store.database.refuse_ended()
        pool, pool6 = checked((subnet,) if subnet else (), (), (), ipv6=ipv6)
        wanted = NetworkConfig(
            id="",
            created="",
            name=name,
            subnet=pool.subnet,
            gateway=pool.gateway,
            subnet6=pool6.subnet,
            gateway6=pool6.gateway,
            internal=internal,
        )
        return Network(Networks(store.root).create(wanted, ipv6=ipv6), store)


def networks(store: Store) -> list[Network]:
    """Return the networks that were made in *store*, the oldest first: `host` and `none` are not among them.

        names = [network.name for network in pybuild.networks(store)]

    Raises:
        errors.StoreError: the store is closed.
    """
    from pybuild.builder.networks.catalog import Networks

    with public_operation():
        store.database.refuse_ended()
        return [Network(made, store) for made in Networks(store.root).made()]
