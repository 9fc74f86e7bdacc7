"""Flags about the health check of a container. Raises RequestError."""

from pybuild.builder.cli.flags.group import option
from pybuild.builder.errors import RequestError
from pybuild.builder.oci.model import Healthcheck
from pybuild.grammar.parse_go import parse_duration
from pybuild.runtime.values import frozen

_LEAST = 1_000_000
"""The shortest time that docker accepts, in nanoseconds; 0 stands for the default."""


@frozen
class HealthFlags:
    """How it is asked whether the container works."""

    health_cmd: str | None = option("--health-cmd", metavar="COMMAND", help="Command of a shell to check the health.")
    health_interval: str | None = option(
        "--health-interval", metavar="TIME", help="Time between checks (default: 30s)."
    )
    health_timeout: str | None = option(
        "--health-timeout", metavar="TIME", help="Maximum time of a check (default: 30s)."
    )
    health_retries: int | None = option(
        "--health-retries",
        type=int,
        metavar="NUMBER",
        help="Consecutive failures until the container is unhealthy (default: 3).",
    )
    health_start_period: str | None = option(
        "--health-start-period",
        metavar="TIME",
        help="Time after the start in which failures are not counted (default: 0s).",
    )
    health_start_interval: str | None = option(
        "--health-start-interval", metavar="TIME", help="Time between checks in that period (default: 5s)."
    )
    no_healthcheck: bool = option("--no-healthcheck", is_flag=True, help="Disable the health check of the image.")

    def healthcheck(self) -> Healthcheck | None:
        """Return what they ask for; times that are not given are 0, for those of the image. Raises RequestError."""
        if self.no_healthcheck:
            if self != HealthFlags(no_healthcheck=True):
                raise RequestError("--no-healthcheck conflicts with --health-* options")
            return Healthcheck(test=("NONE",))
        if self == HealthFlags():
            return None
        if (self.health_retries or 0) < 0:
            raise RequestError("--health-retries cannot be negative")
        return Healthcheck(
            test=("CMD-SHELL", self.health_cmd) if self.health_cmd else (),
            interval=_duration("interval", self.health_interval),
            timeout=_duration("timeout", self.health_timeout),
            start_period=_duration("start-period", self.health_start_period),
            start_interval=_duration("start-interval", self.health_start_interval),
            retries=self.health_retries or 0,
        )


def _duration(name: str, text: str | None) -> int:
    if text is None:
        return 0
    try:
        found = parse_duration(text)
    except ValueError as error:
        raise RequestError(f"invalid duration {text!r}", hint="write it as 30s") from error
    if found < 0:
        raise RequestError(f"--health-{name} cannot be negative")
    if 0 < found < _LEAST:
        raise RequestError(f"--health-{name} cannot be less than 1ms", hint="write it as 500ms, or 30s")
    return found
