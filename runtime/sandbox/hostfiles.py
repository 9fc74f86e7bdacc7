"""The files that a sandbox has from its host and not from its image: /etc/resolv.conf and /etc/hosts."""

from pathlib import Path, PurePosixPath

from pybuild.runtime.sandbox.spec import FileMount, Spec

RESOLV_CONF, _HOSTS = PurePosixPath("/etc/resolv.conf"), PurePosixPath("/etc/hosts")
_MAX_RESOLV_CONF = 1 << 20


def host_files(spec: Spec, resolv_conf: Path = Path("/etc/resolv.conf")) -> tuple[FileMount, ...]:
    """Return the mounts of these files, without those at whose targets *spec* mounts something itself."""
    taken = {mount.target for mount in spec.mounts}
    files = (
        # Unchanged, even if it names a resolver on the loopback interface: the network is the host's.
        FileMount(target=RESOLV_CONF, content=host_resolvers(resolv_conf)),
        FileMount(target=_HOSTS, content=_hosts(spec).encode()),
    )
    return tuple(file for file in files if file.target not in taken)


def host_resolvers(path: Path = Path("/etc/resolv.conf")) -> bytes:
    """Return the content of the host's /etc/resolv.conf, b"" when there is none."""
    try:
        with path.open("rb") as file:
            return file.read(_MAX_RESOLV_CONF)
    except OSError:  # missing or unreadable: names are not resolved inside either
        return b""


def _hosts(spec: Spec) -> str:
    lines = [
        ("127.0.0.1", f"localhost {spec.hostname}"),
        ("::1", "localhost ip6-localhost ip6-loopback"),
        *((address, name) for name, address in spec.hosts),
    ]
    return "".join(f"{address}\t{names}\n" for address, names in lines)
