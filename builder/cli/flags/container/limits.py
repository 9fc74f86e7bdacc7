"""Flags about what a container may use."""

from pybuild.builder.cli.flags.group import option
from pybuild.builder.cli.flags.limits import LimitFlags
from pybuild.builder.errors import RequestError
from pybuild.builder.request.values import Resources
from pybuild.runtime.sandbox.spec import SHM_SIZE, ResourceLimits
from pybuild.runtime.values import frozen

_PERIOD = 100_000


@frozen
class ContainerLimitFlags:
    """Limits of a container."""

    memory: str | None = option("-m", "--memory", metavar="SIZE", help="Memory limit.")
    memory_swap: str | None = option("--memory-swap", metavar="SIZE", help="Limit of memory plus swap; -1: unlimited.")
    cpus: str | None = option("--cpus", metavar="NUMBER", help="Number of CPUs, such as 1.5.")
    cpu_shares: str | None = option("-c", "--cpu-shares", metavar="NUMBER", help="CPU shares: relative weight.")
    cpu_period: str | None = option("--cpu-period", metavar="MICROSECONDS", help="Length of a CPU CFS period.")
    cpu_quota: str | None = option("--cpu-quota", metavar="MICROSECONDS", help="CPU time in a period.")
    cpuset_cpus: str | None = option(
        "--cpuset-cpus", metavar="LIST", help="CPUs on which it may run, such as 0-3 or 0,1."
    )
    cpuset_mems: str | None = option("--cpuset-mems", metavar="LIST", help="Memory nodes that it may use.")
    pids_limit: str | None = option("--pids-limit", metavar="NUMBER", help="Number of processes; -1: unlimited.")
    shm_size: str | None = option("--shm-size", metavar="SIZE", help="Size of /dev/shm (default: 64m).")
    ulimits: tuple[str, ...] = option(
        "--ulimit",
        multiple=True,
        metavar="NAME=SOFT[:HARD]",
        help="Ulimit of the container, such as nofile=1024:2048; repeatable.",
    )
    cgroup_parent: str | None = option("--cgroup-parent", metavar="PATH", help="Parent cgroup of the container.")

    def limits(self) -> ResourceLimits:
        """Return them as a sandbox has them. Raises RequestError."""
        pids = None if self.pids_limit in {None, "-1", "0"} else self.pids_limit
        asked = LimitFlags(
            shm_size=self.shm_size,
            ulimits=self.ulimits,
            memory=self.memory,
            memory_swap=self.memory_swap,
            cpu_shares=self.cpu_shares,
            cpu_period=self.cpu_period,
            cpu_quota=self._quota(),
            cpuset_cpus=self.cpuset_cpus,
            cpuset_mems=self.cpuset_mems,
            cgroup_parent=self.cgroup_parent,
            resources=() if pids is None else (f"pids={pids}",),
        ).request()["resources"]
        if not isinstance(asked, Resources):
            raise TypeError(type(asked))
        return ResourceLimits(
            shm_size=asked.shm_size or SHM_SIZE,
            ulimits=asked.ulimits,
            memory=asked.memory,
            memory_swap=asked.memory_swap,
            cpu_quota=asked.cpu_quota,
            cpu_period=asked.cpu_period,
            cpu_shares=asked.cpu_shares,
            cpuset_cpus=asked.cpuset_cpus,
            cpuset_mems=asked.cpuset_mems,
            cgroup_parent=asked.cgroup_parent,
            pids=asked.pids,
        )

    def _quota(self) -> str | None:
        if self.cpus is None:
            return self.cpu_quota
        if self.cpu_quota or self.cpu_period:
            raise RequestError("conflicting options: Nano CPUs and CPU quota cannot both be set")
        try:
            number = float(self.cpus)
        except ValueError:
            number = 0.0
        if not 0.01 <= number < 1_000_000:
            raise RequestError(f"invalid --cpus {self.cpus!r}", hint="write it as 1.5")
        return str(round(number * _PERIOD))
