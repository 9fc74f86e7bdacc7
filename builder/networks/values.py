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
class AddressPool:
    """Addresses of one version of IP: a subnet, the address of the host in it, and the part to take addresses from."""

    subnet: str = ""
    gateway: str = ""
    ip_range: str = ""


@frozen
class NetworkConfig:
    """The configuration of a network; it never changes. *options* belong to the driver.

    *subnet6* and its like are those of IPv6, "" for a network without.
    """

    id: str
    name: str
    created: str
    driver: str = BRIDGE
    subnet: str = ""
    gateway: str = ""
    ip_range: str = ""
    subnet6: str = ""
    gateway6: str = ""
    ip_range6: str = ""
    internal: bool = False
    attachable: bool = False
    labels: tuple[tuple[str, str], ...] = ()
    options: tuple[tuple[str, str], ...] = ()

    @property
    def pool(self) -> AddressPool:
        """Its addresses of IPv4."""
        return AddressPool(subnet=self.subnet, gateway=self.gateway, ip_range=self.ip_range)

    @property
    def pool6(self) -> AddressPool:
        """Its addresses of IPv6; it is empty for a network without."""
        return AddressPool(subnet=self.subnet6, gateway=self.gateway6, ip_range=self.ip_range6)

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
    *host_ip* "" stands for all addresses: of both versions of IP when it is wanted, of IPv4 when it is set up.
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

    @property
    def place(self) -> str:
        """The address and the port of the host, such as ``0.0.0.0:80`` and ``[::]:80``."""
        return f"[{self.host_ip}]:{self.host_port}" if self.is_ipv6 else f"{self.address}:{self.host_port}"

    @property
    def is_ipv6(self) -> bool:
        """Whether the address of the host is one of IPv6."""
        return ":" in self.host_ip


@frozen
class Membership:
    """A network that a container is connected to whenever it runs. *network* is an id, or a name that a user wrote."""

    network: str
    name: str = ""
    aliases: tuple[str, ...] = ()
    ip: str = ""
    ip6: str = ""
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
    ip6: str = ""
    prefix6: int = 0
    gateway6: str = ""
    mac: str = ""
    aliases: tuple[str, ...] = ()
    resolves: bool = False
    closed: bool = False
    publishes: bool = False
    """Whether the published ports of the container lead to its address here."""
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
