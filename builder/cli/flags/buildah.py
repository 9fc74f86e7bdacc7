"""Flags that ``buildah build`` and ``podman build`` have and ``docker build`` has not. Raises RequestError."""

from collections.abc import Iterable, Mapping
from os import environ
from pathlib import Path

import click

from pybuild.builder.cli.flags.build import variables
from pybuild.builder.cli.flags.group import group
from pybuild.builder.cli.flags.values import FilePath
from pybuild.builder.errors import RequestError
from pybuild.builder.plan.epoch_value import EPOCH, seconds_of
from pybuild.runtime.values import frozen

_FILE = FilePath()
_PROXIES = frozenset({"http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"})


@frozen
class BuildahFlags:
    """What these flags ask for; those that mean what one of Docker's means are to be added to it."""

    more_arguments: tuple[str, ...] = ()
    """Those of files and the environment: less than those of the command line."""
    epoch_argument: tuple[str, ...] = ()
    platform: str = ""
    compression: str = ""
    layers: bool = True
    environment: tuple[tuple[str, str], ...] = ()
    unset_env: tuple[str, ...] = ()
    unset_labels: tuple[str, ...] = ()
    ignore_file: Path | None = None
    jobs: int | None = None
    timestamp: int | None = None
    """Time of the image and of new files, in seconds, whatever SOURCE_DATE_EPOCH says."""
    logfile: Path | None = None
    iidfile_raw: Path | None = None

    def all_arguments(self, given: tuple[str, ...]) -> tuple[str, ...]:
        """Return the build arguments, of which the last one of a name counts; *given* are those of ``--build-arg``."""
        return (*self.more_arguments, *given, *self.epoch_argument)

    def all_platforms(self, given: tuple[str, ...]) -> tuple[str, ...]:
        """Return the platforms; *given* are those of ``--platform``. Raises RequestError when there are both."""
        if self.platform and given:
            raise RequestError("--platform and --os, --arch or --variant exclude each other")
        return given or tuple(filter(None, (self.platform,)))


def read_buildah(
    *,
    build_arg_files: tuple[Path, ...],
    ignore_file: Path | None,
    env: tuple[str, ...],
    unsetenv: tuple[str, ...],
    unsetlabel: tuple[str, ...],
    timestamp: str | None,
    source_date_epoch: str | None,
    os: str | None,
    arch: str | None,
    variant: str | None,
    compression_format: str | None,
    compression_level: str | None,
    logfile: Path | None,
    iidfile_raw: Path | None,
    jobs: str | None,
    layers: bool,
    http_proxy: bool,
    environ: Mapping[str, str] = environ,
) -> BuildahFlags:
    """Return what these flags ask for."""
    if timestamp is not None and source_date_epoch is not None:
        raise RequestError("--timestamp and --source-date-epoch exclude each other")
    proxies = tuple(name for name in environ if name.lower() in _PROXIES) if http_proxy else ()
    epoch = None if source_date_epoch is None else _seconds("--source-date-epoch", source_date_epoch)
    return BuildahFlags(
        more_arguments=(*proxies, *(line for path in build_arg_files for line in _lines(path))),
        epoch_argument=() if epoch is None else (f"{EPOCH}={epoch}",),
        platform=_platform(os, arch, variant),
        compression=_compression(compression_format, compression_level),
        layers=layers,
        environment=tuple(variables(env, environ, "--env").items()),
        unset_env=unsetenv,
        unset_labels=unsetlabel,
        ignore_file=ignore_file,
        jobs=_number("--jobs", jobs),
        timestamp=None if timestamp is None else _seconds("--timestamp", timestamp),
        logfile=logfile,
        iidfile_raw=iidfile_raw,
    )


buildah_flags = group(
    "buildah",
    read_buildah,
    click.option(
        *("--build-arg-file", "build_arg_files"),
        multiple=True,
        type=_FILE,
        metavar="FILE",
        help="Read build arguments from FILE, one NAME=VALUE on each line; --build-arg takes precedence.",
    ),
    click.option("--ignorefile", "ignore_file", type=_FILE, metavar="FILE", help="Use FILE instead of .dockerignore."),
    click.option(
        "--env", multiple=True, metavar="NAME[=VALUE]", help="Set an environment variable, as if the base image had it."
    ),
    click.option("--unsetenv", multiple=True, metavar="NAME", help="Remove an environment variable from the image."),
    click.option("--unsetlabel", multiple=True, metavar="NAME", help="Remove a label from the image."),
    click.option(
        "--timestamp", metavar="SECONDS", help="Creation time of the image and of its new files, in seconds since 1970."
    ),
    click.option("--source-date-epoch", metavar="SECONDS", help=f"Short for --build-arg {EPOCH}=SECONDS."),
    click.option("--os", metavar="OS", help="Operating system to build for, as in --platform."),
    click.option("--arch", metavar="ARCH", help="Architecture to build for, as in --platform."),
    click.option("--variant", metavar="VARIANT", help="Variant of the architecture, as in --platform."),
    click.option("--compression-format", metavar="TYPE", help="Alias for --compression TYPE."),
    click.option("--compression-level", metavar="LEVEL", help="Level for --compression-format."),
    click.option("--logfile", type=_FILE, metavar="FILE", help="Alias for --log-file."),
    click.option(
        "--iidfile-raw", type=_FILE, metavar="FILE", help="Write the image ID without its sha256: prefix to FILE."
    ),
    click.option(
        "--rewrite-timestamp",
        is_flag=True,
        expose_value=False,
        help="No effect: times of new files are always rewritten.",
    ),
    click.option("--jobs", metavar="NUMBER", help="Number of steps that may run at the same time (default: no limit)."),
    click.option(
        "--layers/--no-layers", default=True, help="Make one layer for each step (default), or one for all of them."
    ),
    click.option("--http-proxy", is_flag=True, help="Pass the proxy variables of the environment to RUN steps."),
)
"""Adds these flags to a command, which gets what they ask for as ``buildah``."""


def _lines(path: Path) -> Iterable[str]:
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror.lower() if isinstance(error, OSError) and error.strerror else "not UTF-8"
        raise RequestError(f"--build-arg-file: open {path}: {reason}") from error
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _seconds(flag: str, text: str) -> int:
    seconds = seconds_of(text)
    if seconds is None:
        raise RequestError(f"invalid {flag} {text!r}", hint="write it as seconds since 1970")
    return seconds


def _number(flag: str, text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()) or not 0 < int(text) <= 1000:
        raise RequestError(f"invalid {flag} {text!r}: expected a number from 1 to 1000")
    return int(text)


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
