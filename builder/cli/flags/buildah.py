"""Flags that ``buildah build`` and ``podman build`` have and ``docker build`` has not. Raises RequestError."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from pybuild.builder.cli.flags.build import variables
from pybuild.builder.cli.flags.values import FilePath
from pybuild.builder.errors import RequestError
from pybuild.builder.plan.epoch_value import EPOCH, seconds_of

_FILE = FilePath()
_PROXIES = frozenset({"http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"})


def buildah_flags(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add these flags to a command."""
    options = (
        click.option(
            *("--build-arg-file", "build_arg_files"),
            multiple=True,
            type=_FILE,
            metavar="FILE",
            help="Build arguments, a line NAME=VALUE for each; those of --build-arg win.",
        ),
        click.option("--ignorefile", "ignore_file", type=_FILE, metavar="FILE", help="In place of .dockerignore."),
        click.option(
            "--env", multiple=True, metavar="NAME[=VALUE]", help="Variable of the image, as if set by its base."
        ),
        click.option("--unsetenv", multiple=True, metavar="NAME", help="Leave this variable out of the image."),
        click.option("--unsetlabel", multiple=True, metavar="NAME", help="Leave this label out of the image."),
        click.option("--timestamp", metavar="SECONDS", help="Time of the image and of its new files, since 1970."),
        click.option("--source-date-epoch", metavar="SECONDS", help=f"The same as --build-arg {EPOCH}=SECONDS."),
        click.option("--os", metavar="OS", help="Part of --platform."),
        click.option("--arch", metavar="ARCH", help="Part of --platform."),
        click.option("--variant", metavar="VARIANT", help="Part of --platform."),
        click.option("--compression-format", metavar="TYPE", help="The same as --compression TYPE."),
        click.option("--compression-level", metavar="LEVEL", help="The same as --compression TYPE,LEVEL."),
        click.option("--logfile", type=_FILE, metavar="FILE", help="The same as --log-file."),
        click.option("--iidfile-raw", type=_FILE, metavar="FILE", help="Write the image ID without sha256: to FILE."),
        click.option(
            "--rewrite-timestamp", is_flag=True, expose_value=False, help="Of new files, which is always done."
        ),
        click.option("--jobs", metavar="NUMBER", help="Steps that run at the same time (default: 4)."),
        click.option("--layers/--no-layers", default=True, help="A layer for each step (default), or one for all new."),
        click.option("--http-proxy", is_flag=True, help="Give steps the proxies of the environment."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def as_docker_has_it(flags: Mapping[str, Any], env: Mapping[str, str]) -> dict[str, Any]:
    """Return *flags* with those of Docker set that mean the same."""
    changed = dict(flags)
    changed["build_args"] = (*_more_arguments(flags, env), *flags["build_args"], *_epoch_argument(flags))
    changed["platforms"] = (*flags["platforms"], *_platform(flags))
    changed["compression"] = flags["compression"] or _compression(flags)
    changed["squash"] = flags["squash"] or not flags["layers"]
    return changed


def buildah_values(flags: Mapping[str, Any], env: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of a request that only these flags set."""
    found: dict[str, Any] = {
        "environment": tuple(variables(flags["env"], env, "--env").items()),
        "unset_env": flags["unsetenv"],
        "unset_labels": flags["unsetlabel"],
        "ignore_file": flags["ignore_file"],
        "jobs": _number("--jobs", flags["jobs"]),
    }
    if flags["timestamp"] is not None:
        if flags["source_date_epoch"] is not None:
            raise RequestError("--timestamp and --source-date-epoch exclude each other")
        found["source_date_epoch"] = _seconds("--timestamp", flags["timestamp"])
    return found


def _more_arguments(flags: Mapping[str, Any], env: Mapping[str, str]) -> Iterator[str]:
    if flags["http_proxy"]:
        yield from (name for name in env if name.lower() in _PROXIES)
    for path in flags["build_arg_files"]:
        yield from _lines(path)


def _lines(path: Path) -> Iterable[str]:
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror.lower() if isinstance(error, OSError) and error.strerror else "not UTF-8"
        raise RequestError(f"--build-arg-file: open {path}: {reason}") from error
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _epoch_argument(flags: Mapping[str, Any]) -> Iterator[str]:
    if flags["source_date_epoch"] is not None:
        yield f"{EPOCH}={_seconds('--source-date-epoch', flags['source_date_epoch'])}"


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


def _platform(flags: Mapping[str, Any]) -> Iterator[str]:
    given = (flags["os"], flags["arch"], flags["variant"])
    if not any(given):
        return
    if flags["platforms"]:
        raise RequestError("--platform and --os, --arch or --variant exclude each other")
    from pybuild.builder.platforms import wanted_platform

    own = wanted_platform(None)
    system, store, variant = given
    yield "/".join(filter(None, (system or own.os, store or own.architecture, variant)))


def _compression(flags: Mapping[str, Any]) -> str:
    level = flags["compression_level"]
    if level is None:
        return flags["compression_format"] or ""
    return f"{flags['compression_format'] or 'gzip'},{level}"
