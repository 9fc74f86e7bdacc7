"""Flags that ``buildah build`` and ``podman build`` have and ``docker build`` has not. Raises RequestError."""

from collections.abc import Mapping
from pathlib import Path

from pybuild.builder.cli.flags.build_values import lines_of, source_date_epoch, variables
from pybuild.builder.cli.flags.group import option
from pybuild.builder.cli.flags.values import FilePath
from pybuild.builder.errors import RequestError
from pybuild.builder.options import whole_number
from pybuild.builder.plan.ops import PROXIES
from pybuild.builder.request import Changes, changes
from pybuild.builder.request.values import EPOCH, seconds_of
from pybuild.runtime.values import frozen

_FILE = FilePath()


@frozen
class BuildahFlags:
    """Flags of Buildah. Those with the meaning of one of Docker's flags are merged with it by the caller."""

    build_arg_files: tuple[Path, ...] = option(
        "--build-arg-file",
        multiple=True,
        type=_FILE,
        metavar="FILE",
        help="Read build arguments from FILE, one NAME=VALUE on each line; --build-arg takes precedence.",
    )
    ignore_file: Path | None = option(
        "--ignorefile",
        type=_FILE,
        metavar="FILE",
        help="Use FILE instead of .dockerignore.",
    )
    env: tuple[str, ...] = option(
        "--env",
        multiple=True,
        metavar="NAME[=VALUE]",
        help="Set an environment variable, as if the base image had it.",
    )
    unsetenv: tuple[str, ...] = option(
        "--unsetenv",
        multiple=True,
        metavar="NAME",
        help="Remove an environment variable from the image.",
    )
    unsetlabel: tuple[str, ...] = option(
        "--unsetlabel",
        multiple=True,
        metavar="NAME",
        help="Remove a label from the image.",
    )
    timestamp: str | None = option(
        "--timestamp",
        metavar="SECONDS",
        help="Creation time of the image and of its new files, in seconds since 1970.",
    )
    source_date_epoch: str | None = option(
        "--source-date-epoch",
        metavar="SECONDS",
        help=f"Short for --build-arg {EPOCH}=SECONDS.",
    )
    os: str | None = option(
        "--os",
        metavar="OS",
        help="Operating system to build for, as in --platform.",
    )
    arch: str | None = option(
        "--arch",
        metavar="ARCH",
        help="Architecture to build for, as in --platform.",
    )
    variant: str | None = option(
        "--variant",
        metavar="VARIANT",
        help="Variant of the architecture, as in --platform.",
    )
    compression_format: str | None = option(
        "--compression-format",
        metavar="TYPE",
        help="Alias for --compression TYPE.",
    )
    compression_level: str | None = option(
        "--compression-level",
        metavar="LEVEL",
        help="Level for --compression-format.",
    )
    logfile: Path | None = option(
        "--logfile",
        type=_FILE,
        metavar="FILE",
        help="Alias for --log-file.",
    )
    iidfile_raw: Path | None = option(
        "--iidfile-raw",
        type=_FILE,
        metavar="FILE",
        help="Write the image ID without its sha256: prefix to FILE.",
    )
    rewrite_timestamp: bool = option(
        "--rewrite-timestamp",
        is_flag=True,
        help="No effect: times of new files are always rewritten.",
    )
    jobs: str | None = option(
        "--jobs",
        metavar="NUMBER",
        help="Number of steps that may run at the same time (default: no limit).",
    )
    layers: bool = option(
        "--layers/--no-layers",
        default=True,
        help="Make one layer for each step (default), or one for all of them.",
    )
    http_proxy: bool = option(
        "--http-proxy",
        is_flag=True,
        help="Pass the proxy variables of the environment to RUN steps.",
    )

    def request(self, env: Mapping[str, str]) -> Changes:
        """Return the fields of a request for flags without a counterpart in Docker."""
        return changes(
            environment=tuple(variables(self.env, env, "--env").items()),
            unset_env=self.unsetenv,
            unset_labels=self.unsetlabel,
            ignore_file=self.ignore_file,
            jobs=_number("--jobs", self.jobs),
        )

    def all_arguments(self, items: tuple[str, ...], env: Mapping[str, str]) -> tuple[str, ...]:
        """Return the build arguments, of which the last one of a name counts; *items* are those of ``--build-arg``."""
        proxies = tuple(name for name in env if name.lower() in PROXIES) if self.http_proxy else ()
        lines = (line.rstrip() for path in self.build_arg_files for line in lines_of("--build-arg-file", path))
        epoch = () if self.source_date_epoch is None else (_seconds("--source-date-epoch", self.source_date_epoch),)
        return (*proxies, *lines, *items, *(f"{EPOCH}={seconds}" for seconds in epoch))

    def all_platforms(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the platforms; *names* are those of ``--platform``. Raises RequestError when there are both."""
        platform = _platform(self.os, self.arch, self.variant)
        if platform and names:
            raise RequestError("--platform and --os, --arch or --variant exclude each other")
        return names or tuple(filter(None, (platform,)))

    def compression(self) -> str:
        """Return the compression, as ``--compression`` has it."""
        return _compression(self.compression_format, self.compression_level)

    def epoch(self, build_args: Mapping[str, str]) -> int | None:
        """Return the time of the image and of new files, in seconds: ``--timestamp``, whatever *build_args* say."""
        if self.timestamp is None:
            return source_date_epoch(build_args)
        if self.source_date_epoch is not None:
            raise RequestError("--timestamp and --source-date-epoch exclude each other")
        return _seconds("--timestamp", self.timestamp)


def _seconds(flag: str, text: str) -> int:
    seconds = seconds_of(text)
    if seconds is None:
        raise RequestError(f"invalid {flag} {text!r}", hint="write it as seconds since 1970")
    return seconds


def _number(flag: str, text: str | None) -> int | None:
    if text is None:
        return None
    number = whole_number(text, 1000)
    if not number:
        raise RequestError(f"invalid {flag} {text!r}: expected a number from 1 to 1000")
    return number


def _platform(system: str | None, architecture: str | None, variant: str | None) -> str:
    if not (system or architecture or variant):
        return ""
    from pybuild.builder.platforms import wanted_platform

    own = wanted_platform(None)
    return "/".join(filter(None, (system or own.os, architecture or own.architecture, variant)))


def _compression(algorithm: str | None, level: str | None) -> str:
    if level is None:
        return algorithm or ""
    return f"{algorithm or 'gzip'},{level}"
