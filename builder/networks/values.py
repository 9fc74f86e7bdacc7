"""Values about networks: their configuration, what a container asks for, and what is set up while it runs."""

from pybuild.runtime.values import frozen

HOST, NONE, BRIDGE = "host", "none", "bridge"
"""The predefined networks. BRIDGE is also the name of the default driver."""
MACVLAN, IPVLAN = "macvlan", "ipvlan"
PRIVATE = "private"
"""The mode in which pasta or slirp4netns forwards packets, for one container alone. No network has this name."""
DRIVERS = (BRIDGE, MACVLAN, IPVLAN)
CONTAINER = "container:"
"""The prefix of the network mode ``container:NAME``: the network namespace of another container."""
HOST_GATEWAY = "host-gateway"
"""The word that ``--add-host NAME:host-gateway`` has in place of the host's address."""


@frozen
class NetworkConfig:
    """The configuration of a network; it never changes. *options* belong to the driver."""

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
        # The name of an interface has at most 15 bytes (IFNAMSIZ in netdevice(7)).
        return f"pb-{self.id[:12]}" if self.driver == BRIDGE else dict(self.options).get("parent", "")

    @property
    def resolves(self) -> bool:
        """Whether its containers find each other by name. As in Docker, those of the default network do not."""
        return self.driver == BRIDGE and self.name != BRIDGE

    @property
    def publishes(self) -> bool:
        """Whether ports of the host lead to containers on it."""
        return self.driver == BRIDGE and not self.internal


@frozen
class PublishedPort:
    """A port of a container that is reached through a port of the host.

    *host_port* 0 stands for any free port. With *host_last* it is the first free one from *host_port* to *host_last*.
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
        """The address of the host on which the port is published."""
        return self.host_ip or "0.0.0.0"  # noqa: S104 - as Docker shows it


@frozen
class Membership:
    """A network that a container is connected to whenever it runs. *network* is an id, or a name that a user wrote."""

    network: str
    name: str = ""
    aliases: tuple[str, ...] = ()
    ip: str = ""
    mac: str = ""


@frozen
class Networking:
    """The network settings that a container is created with."""

    attachments: tuple[Membership, ...] = ()
    """The networks at its creation. Those of today, after ``network connect``, are in `membership`."""
    ports: tuple[PublishedPort, ...] = ()
    publish_all: bool = False
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    """The containers of ``--link``, each with the alias under which this container finds it."""
    hosts: tuple[tuple[str, str], ...] = ()
    """The lines that ``--add-host`` adds to /etc/hosts: name and address."""


@frozen
class Endpoint:
    """The connection of a running container to one network. *interface* is its name inside of the container."""

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
    """The input of netavark as JSON: the same document takes down what it set up."""


@frozen
class Live:
    """What is set up for a running container: its connections and its published ports."""

    boot: str
    space: str
    """The network namespace in which the bridges are, by the name that `namespaces.own_name` gives it."""
    container: str
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[PublishedPort, ...] = ()
    private: bool = False
    """It is a network that ends with its container: nothing has to be taken down."""
    holder: str = ""
    """The name of the holder of the shared network in which the bridges are, "" when they are on the host."""
