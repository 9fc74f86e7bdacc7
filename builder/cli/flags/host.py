"""Flags about the parts of the host that steps see: files, directories and name servers. Raises RequestError."""

from pathlib import Path, PurePosixPath

from pybuild.builder.cli.flags.group import option
from pybuild.builder.errors import RequestError
from pybuild.builder.request import Changes, Rights, Volume, changes, checks
from pybuild.grammar.parse_go import parse_ip
from pybuild.runtime.values import frozen

_MODES = frozenset({"ro", "rw", "z", "Z"})
"""``z`` and ``Z`` are accepted, but SELinux labels are not changed."""


ISOLATION_HELP = (
    "How commands are isolated from the host: auto (default), root, userns, single, chroot, none or strict; see "
    "pybuild doctor. single is for users without subordinate ids: owners of files are recorded. chroot (experimental) "
    "is for root in a container that permits neither mounts nor namespaces. strict permits nothing less than a host "
    "without restrictions has. "
    "Also $PYBUILD_ISOLATION; oci means auto, and rootless means userns."
)


def choose_isolation(name: str | None) -> None:
    """Let this process, and those that it starts, have the isolation that ``--isolation`` asks for.

    Raises:
        RequestError: there is no such isolation.
    """
    if name is not None:
        import os

        from pybuild.runtime.sandbox.isolation import VARIABLE, UnknownIsolation, parse

        try:
            os.environ[VARIABLE] = parse(name)
        except UnknownIsolation as error:
            raise RequestError(f"--isolation: {error}") from None


@frozen
class HostFlags:
    """Flags about the parts of the host that steps see."""

    volumes: tuple[str, ...] = option(
        "-v",
        "--volume",
        multiple=True,
        metavar="HOST:TARGET[:ro]",
        help="Bind mount a file or directory of the host in RUN steps. It is part of no layer and of no cache key; a "
        "change of it does not run steps again. Repeatable.",
    )
    dns: tuple[str, ...] = option(
        "--dns",
        multiple=True,
        metavar="ADDRESS",
        help="Name server of RUN steps, instead of the host's; repeatable.",
    )
    dns_search: tuple[str, ...] = option(
        "--dns-search",
        multiple=True,
        metavar="DOMAIN",
        help="DNS search domain of RUN steps; repeatable.",
    )
    dns_option: tuple[str, ...] = option(
        "--dns-option",
        multiple=True,
        metavar="OPTION",
        help="Resolver option of RUN steps, such as ndots:2; repeatable.",
    )

    cap_add: tuple[str, ...] = option(
        "--cap-add",
        multiple=True,
        metavar="CAPABILITY",
        help="Give RUN steps a capability, or ALL. Like the flags below, it is part of no cache key. Repeatable.",
    )
    cap_drop: tuple[str, ...] = option(
        "--cap-drop",
        multiple=True,
        metavar="CAPABILITY",
        help="Drop a capability of RUN steps, or ALL; repeatable.",
    )
    device: tuple[str, ...] = option(
        "--device",
        multiple=True,
        metavar="HOST[:TARGET][:rwm]",
        help="Device node of the host for RUN steps; repeatable.",
    )
    group_add: tuple[str, ...] = option(
        "--group-add", multiple=True, metavar="GROUP", help="Name or GID of a group that RUN steps join; repeatable."
    )
    security_opt: tuple[str, ...] = option(
        "--security-opt",
        multiple=True,
        metavar="OPTION",
        help="Security option of RUN steps: no-new-privileges, seccomp=FILE (Docker's JSON) or seccomp=unconfined.",
    )
    isolation: str | None = option("--isolation", metavar="MODE", help=ISOLATION_HELP)

    def request(self) -> Changes:
        """Return the fields of a request for these flags."""
        return changes(
            volumes=tuple(map(volume, self.volumes)),
            resolv_conf=_resolv_conf(self.dns, self.dns_search, self.dns_option),
            rights=self._rights(),
        )

    def _rights(self) -> Rights:
        given = (self.cap_add, self.cap_drop, self.device, self.group_add, self.security_opt)
        if not any(given):
            return Rights()
        from pybuild.builder.cli.flags.confinement import confinement

        return confinement(
            cap_add=self.cap_add,
            cap_drop=self.cap_drop,
            devices=self.device,
            groups=self.group_add,
            security=self.security_opt,
        )


def volume(text: str) -> Volume:
    """Return what ``HOST:TARGET[:ro]`` shows."""
    host, _, rest = text.partition(":")
    target, _, mode = rest.partition(":")
    modes = frozenset(mode.split(",")) - {""}
    if not host or not target or modes - _MODES:
        raise RequestError(f"invalid --volume {text!r}", hint="write it as HOST:TARGET or HOST:TARGET:ro")
    path = Path(host)
    if "/" not in host and not path.exists():
        raise RequestError(f"--volume {text!r}: named volumes are not supported", hint="give a path of the host")
    if not path.exists():
        raise RequestError(f"--volume {text!r}: {host} does not exist")
    return Volume(host_path=path.absolute(), target=mount_target(target), read_only="ro" in modes)


def mount_target(text: str) -> PurePosixPath:
    """Return where something is mounted."""
    path = PurePosixPath(text)
    checks.mount_target(path)
    return path


def _resolv_conf(servers: tuple[str, ...], domains: tuple[str, ...], options: tuple[str, ...]) -> str:
    """Return the content of /etc/resolv.conf, "" for the host's own. Raises RequestError."""
    for address in servers:
        _check_address(address)
    words = (*domains, *options)
    for word in words:
        if not word or any(char.isspace() for char in word):
            raise RequestError(f"invalid --dns-search or --dns-option {word!r}", hint="give one word")
    if words and not servers:
        raise RequestError("--dns-search and --dns-option need --dns", hint="name the server as well")
    lines = [f"nameserver {address}" for address in servers]
    lines += [f"search {' '.join(domains)}"] if domains else []
    lines += [f"options {' '.join(options)}"] if options else []
    return "".join(f"{line}\n" for line in lines)


def _check_address(address: str) -> None:
    try:
        parse_ip(address)
    except ValueError as error:
        raise RequestError(f"invalid --dns {address!r}", hint="give the address of a name server") from error
