"""Networks, what a container wants of them, and what it has while it runs."""

from pybuild.runtime.values import frozen

HOST, NONE, BRIDGE = "host", "none", "bridge"
"""The networks that are always there; the last is also the driver of those that users make."""
MACVLAN, IPVLAN = "macvlan", "ipvlan"
PRIVATE = "private"
"""The network of a command without a container that is carried by a program of user space; no network is called so."""
DRIVERS = (BRIDGE, MACVLAN, IPVLAN)
CONTAINER = "container:"
"""The beginning of a network mode: the network of another container."""
HOST_GATEWAY = "host-gateway"
"""The address of ``--add-host`` that stands for the host."""


@frozen
class NetworkConfig:
    """A network, as it was made. *options* are those of its driver."""

    id: str
    name: str
    created: str
    driver: str = BRIDGE
    subnet: str = ""
    gateway: str = ""
    ip_range: str = ""
    internal: bool = False
    attachable: bool = False
    labels: tuple[tuple[str, str], ...] = ()
    options: tuple[tuple[str, str], ...] = ()

    @property
    def interface(self) -> str:
        """The bridge on the host, or the interface of the host that macvlan and ipvlan divide."""
        return f"pb-{self.id[:12]}" if self.driver == BRIDGE else dict(self.options).get("parent", "")

    @property
    def resolves(self) -> bool:
        """Whether containers on it find each other by name: as in Docker not on the default one."""
        return self.driver == BRIDGE and self.name != BRIDGE

    @property
    def publishes(self) -> bool:
        """Whether ports of the host lead to containers on it."""
        return self.driver == BRIDGE and not self.internal


@frozen
class PublishedPort:
    """A port of the host that leads to one of a container.

    *host_port* 0 is any, and of those up to *host_last* the first that is free.
    """

    container_port: int
    protocol: str = "tcp"
    host_ip: str = ""
    host_port: int = 0
    host_last: int = 0

    @property
    def name(self) -> str:
        """The port of the container, such as ``80/tcp``."""
        return f"{self.container_port}/{self.protocol}"

    @property
    def address(self) -> str:
        """The address of the host, also when it is any."""
        return self.host_ip or "0.0.0.0"  # noqa: S104 - as Docker shows it


@frozen
class Membership:
    """A network that a container is to be on whenever it runs; *network* is an id, or a name that a user gave."""

    network: str
    name: str = ""
    aliases: tuple[str, ...] = ()
    ip: str = ""
    mac: str = ""
    links: tuple[tuple[str, str], ...] = ()


@frozen
class Networking:
    """What a container wants of its networks beside their names."""

    attachments: tuple[Membership, ...] = ()
    """The networks that it begins with; `membership` has those that it is on."""
    ports: tuple[PublishedPort, ...] = ()
    publish_all: bool = False
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    """Pairs of a container and the name under which this one finds it."""
    hosts: tuple[tuple[str, str], ...] = ()
    """More lines of /etc/hosts: name and address."""


@frozen
class Endpoint:
    """A container that runs on a network: the *interface* inside, its addresses."""

    id: str
    network: str
    name: str
    interface: str
    bridge: str = ""
    ip: str = ""
    prefix: int = 0
    gateway: str = ""
    mac: str = ""
    aliases: tuple[str, ...] = ()
    resolves: bool = False
    closed: bool = False
    document: str = ""
    """What netavark was told, as JSON."""


@frozen
class Live:
    """What a container that runs has of its networks; written before it is set up, removed when it is taken down."""

    boot: str
    space: str
    """The network namespace of the host's side, as `namespaces.own_name` calls it."""
    container: str
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[PublishedPort, ...] = ()
