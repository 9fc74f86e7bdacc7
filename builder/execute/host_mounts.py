"""The mounts of each RUN that the command line asks for: files and directories of the host, and resolv.conf."""

from pathlib import PurePosixPath

from pybuild.builder.request import Execution
from pybuild.runtime.sandbox.spec import Bind, FileMount, Mount

_RESOLV_CONF = PurePosixPath("/etc/resolv.conf")


def host_mounts(execution: Execution) -> tuple[Mount, ...]:
    """Return the mounts that *execution* asks for besides those of the Dockerfile."""
    binds = (
        Bind(host_path=volume.host_path, target=volume.target, read_only=volume.read_only)
        for volume in execution.volumes
    )
    if not execution.resolv_conf:
        return tuple(binds)
    return (*binds, FileMount(target=_RESOLV_CONF, content=execution.resolv_conf.encode()))
