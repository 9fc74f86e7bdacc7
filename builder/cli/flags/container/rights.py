"""Flags about the rights of the processes of a container."""

from pybuild.builder.cli.flags.confinement import confinement, gpu_names
from pybuild.builder.cli.flags.group import option
from pybuild.builder.request.values import Rights
from pybuild.runtime.values import frozen


@frozen
class RightsFlags:
    """The rights of the processes of a container."""

    group_add: tuple[str, ...] = option(
        "--group-add", multiple=True, metavar="GROUP", help="Name or GID of a group to join as well; repeatable."
    )
    cap_add: tuple[str, ...] = option(
        "--cap-add", multiple=True, metavar="CAPABILITY", help="Add a capability, or ALL; repeatable."
    )
    cap_drop: tuple[str, ...] = option(
        "--cap-drop", multiple=True, metavar="CAPABILITY", help="Drop a capability, or ALL; repeatable."
    )
    security_opts: tuple[str, ...] = option(
        "--security-opt",
        multiple=True,
        metavar="OPTION",
        help="Security option: no-new-privileges, seccomp=FILE (Docker's JSON) or seccomp=unconfined.",
    )
    device: tuple[str, ...] = option(
        "--device",
        multiple=True,
        metavar="HOST[:TARGET][:rwm]",
        help="Device node of the host, or a CDI name such as vendor.example/gpu=0; repeatable.",
    )
    gpus: tuple[str, ...] = option(
        "--gpus", multiple=True, metavar="GPUS", help="GPUs by their CDI names: all, a number, or device=0."
    )
    read_only: bool = option(
        "--read-only", is_flag=True, help="Mount the root file system read-only; volumes and tmpfs stay writable."
    )

    def confinement(self) -> Rights:
        """Return the rights. Raises RequestError."""
        return confinement(
            cap_add=self.cap_add,
            cap_drop=self.cap_drop,
            groups=self.group_add,
            devices=(*self.device, *gpu_names(self.gpus)),
            security=self.security_opts,
        )
