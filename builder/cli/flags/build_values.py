"""Parsing the values of flags of ``build`` into the fields of a `Request`. Mistakes are RequestErrors."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from pybuild.builder.errors import RequestError, reason
from pybuild.builder.request import Changes, Compression, changes
from pybuild.builder.request.values import EPOCH, seconds_of

_MULTI = "BUILDKIT_MULTI_PLATFORM"


def build_arguments(items: Iterable[str], env: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return ``NAME=value`` pairs; a NAME alone takes its value from *env* and is left out when it has none there.

    SOURCE_DATE_EPOCH of *env* is passed on unless it is given, and so are the proxies of Docker's ``config.json``.
    """
    own = {name: env[name] for name in (EPOCH,) if name in env}
    named = variables(items, env, "--build-arg")
    return tuple({**_proxies(named, env), **own, **named}.items())


def _proxies(given: Mapping[str, str], env: Mapping[str, str]) -> Mapping[str, str]:
    # Without this file, which only users of Docker have, the module need not be imported.
    if "DOCKER_CONFIG" not in env and not os.path.exists(f"{env.get('HOME', '')}/.docker/config.json"):
        return {}
    from pybuild.builder.cli.flags.proxy_config import proxy_arguments

    return proxy_arguments(given, env)


def variables(items: Iterable[str], env: Mapping[str, str], what: str) -> dict[str, str]:
    """Return the values of ``NAME=value``; a NAME alone has that of *env*, or none. *what* is the flag, for errors."""
    found: dict[str, str] = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not name:
            raise RequestError(f"invalid {what} {item!r}: no name before the equals sign")
        if equals:
            found[name] = value
        elif name in env:
            found[name] = env[name]
    return found


def lines_of(flag: str, path: Path) -> list[str]:
    """Return the lines of a file without comments and empty lines. As in Docker, trailing spaces stay.

    *flag* is the flag that names the file, for errors.
    """
    try:
        # With a byte order mark, as editors of Windows write it and Docker passes over it.
        lines = path.read_bytes().decode("utf-8-sig").split("\n")
    except OSError as error:
        raise RequestError(f"{flag}: open {reason(error)}") from error
    except UnicodeDecodeError as error:
        number = error.object[: error.start].count(b"\n") + 1
        raise RequestError(f"{flag}: {path}: line {number} is not UTF-8") from error
    bare = (line.removesuffix("\r").lstrip() for line in lines)
    return [line for line in bare if line and not line.startswith("#")]


def env_lines(path: Path) -> list[str]:
    """Return the lines of the file of ``--env-file``, each ``NAME=value`` or a NAME alone."""
    lines = lines_of("--env-file", path)
    for line in lines:
        name = line.partition("=")[0]
        if not name:
            raise RequestError(f"invalid env file ({path}): no variable name on line '{line}'")
        if name.split() != [name]:
            raise RequestError(f"invalid env file ({path}): variable '{name}' contains whitespaces")
    return lines


def source_date_epoch(arguments: Mapping[str, str]) -> int | None:
    """Return the seconds of SOURCE_DATE_EPOCH; None when it is missing, or is a word that the build resolves."""
    return seconds_of(arguments.get(EPOCH, ""))


def dockerfile_address(file: str | None) -> str:
    """Return the URL that ``-f`` names; "" when it names a path."""
    return file if file and file.lower().startswith(("http://", "https://")) else ""


def dockerfile(file: str | None) -> Path | None:
    """Return the path that ``-f`` names; None for a URL, which is fetched first."""
    return Path(file) if file and not dockerfile_address(file) else None


def context(text: str) -> Path | str:
    """Return the build context: a directory, or the address of a remote one."""
    if Path(text).is_dir():
        return Path(text)
    from pybuild.builder.errors import ResolveError
    from pybuild.builder.sources.address import parse_context

    try:
        return Path(text) if parse_context(text) is None else text
    except ResolveError as error:
        raise RequestError(f"invalid build context: {error.message}", hint=error.hint) from error


def contexts(items: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return (name, value) of named contexts, directories as absolute paths; the last one of a name counts."""
    found: dict[str, str] = {}
    for item in items:
        # Inside the loop: few builds have one.
        from pybuild.builder.request.names import context_name
        from pybuild.builder.stages.contexts import is_directory

        name, equals, value = item.partition("=")
        if not equals or not value:
            raise RequestError(f"invalid context value: {item!r}, expected key=value")
        directory = is_directory(value)
        if directory and not Path(value).is_dir():
            why = "not a directory" if Path(value).exists() else "no such file or directory"
            raise RequestError(f"failed to get build context path {value}: {why}", hint=f"--build-context {item}")
        found[context_name(name)] = str(Path(value).absolute()) if directory else value
    return tuple(found.items())


def labels(items: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return ``NAME=value`` pairs; a name alone has an empty value."""
    pairs = (item.partition("=") for item in items)
    return tuple({name: value for name, _, value in pairs}.items())


def hosts(items: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return (name, address) pairs of ``name:address`` or ``name=address``; IPv6 may stand in brackets."""
    found = tuple(_host(item) for item in items)
    if found:
        from pybuild.builder.request.names import check_hosts

        check_hosts(found)
    return found


def _host(item: str) -> tuple[str, str]:
    name, _, address = item.partition("=" if "=" in item else ":")
    address = address.removeprefix("[").removesuffix("]")
    # Steps share the network of the host, so its address is that of the loopback interface.
    return name, "127.0.0.1" if address == "host-gateway" else address


def platforms(names: Iterable[str], env: Mapping[str, str]) -> tuple[str, ...]:
    """Return the platforms to build for, in normal form, each once; an empty tuple means that of this host."""
    texts = [part.strip() for item in names for part in item.split(",")]
    found: dict[str, None] = {}
    for text in texts or filter(None, [env.get("DOCKER_DEFAULT_PLATFORM")]):
        from pybuild.builder.errors import ResolveError
        from pybuild.builder.platforms import parse_platform

        try:
            found.setdefault(str(parse_platform(text)))
        except ResolveError as error:
            raise RequestError(f"--platform: {error.message}", hint=error.hint) from error
    return tuple(found)


def platform_fields(names: tuple[str, ...], arguments: Mapping[str, str]) -> Changes:
    """Return the fields of a request for platforms; BUILDKIT_MULTI_PLATFORM=1 asks for an index even of one."""
    text = arguments.get(_MULTI, "")
    try:
        index = _boolean(text) if text else len(names) > 1
    except ValueError as error:
        raise RequestError(f"invalid boolean value for {_MULTI}: {text}", hint="use true or false") from error
    if len(names) > 1 and not index:
        raise RequestError("conflicting config: returning multiple target platforms is not allowed", hint=f"{_MULTI}=1")
    if not index:
        return changes(platform=names[0] if names else None)
    from pybuild.builder.platforms import wanted_platform

    return changes(platforms=names or (str(wanted_platform(None)),))


def _boolean(text: str) -> bool:
    from pybuild.grammar.parse_go import parse_bool

    return parse_bool(text)


def parse_compression(text: str) -> Compression:
    """Parse ``TYPE[,LEVEL]``. Raises RequestError."""
    algorithm, comma, level = text.partition(",")
    return checked_compression(algorithm, level if comma else None)


def checked_compression(algorithm: str, level: str | None) -> Compression:
    """Return a compression; *level* None means the default of the algorithm. Raises RequestError."""
    if level is None:
        return Compression(algorithm=algorithm)
    from pybuild.builder.options import whole_number

    number = whole_number(level)
    if number is None:
        raise RequestError(f"invalid compression level {level!r} for {algorithm}")
    return Compression(algorithm=algorithm, level=number)
