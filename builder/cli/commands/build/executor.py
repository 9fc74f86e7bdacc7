"""``pybuild executor``: a build with the flags of Kaniko, which become those of ``pybuild build``."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from pybuild.builder.cli.commands.build.build import command as build
from pybuild.builder.cli.commands.build.executor_flags import (
    DestinationFlags,
    ExecutorCommand,
    ExecutorFlags,
    SourceFlags,
    add_unused_flags,
)
from pybuild.builder.cli.commands.build.executor_git import address, authorized, is_repository
from pybuild.builder.cli.commands.build.executor_hosts import configured
from pybuild.builder.cli.commands.registry.push import command as push
from pybuild.builder.cli.flags.group import takes
from pybuild.builder.cli.tools import warn
from pybuild.builder.errors import PushFailed, RequestError
from pybuild.builder.outputs.files import replace_file
from pybuild.builder.request.checks import full_names
from pybuild.grammar.parse_go import parse_bool
from pybuild.grammar.reference import parse_reference
from pybuild.runtime.errors import kernel_reason
from pybuild.runtime.paths.scratch import temporary

_WORKSPACE = Path("/workspace")
"""Kaniko's default context."""
_IMMUTABLE = re.compile(r"immutab|cannot update tag", re.IGNORECASE)
"""What ECR, Artifact Registry and Harbor say of a tag that exists and must not change."""
_EPILOG = """\b
Kaniko's --snapshot-mode, --ignore-path, --force and the like change nothing: steps
run in a sandbox on a file system of their own, never in that of the container.
Several images cannot lack a --destination unless --no-push is given. Credentials
are read from $DOCKER_CONFIG/config.json, from /kaniko/.docker/config.json when no
variable names another file, and where docker and podman keep them.
"""


@click.command("executor", cls=ExecutorCommand, epilog=_EPILOG)
@takes(ExecutorFlags, "flags")
@add_unused_flags
def command(*, flags: ExecutorFlags) -> int:
    """Build and push an image, with the flags of Kaniko's executor."""
    pushed = _check(flags)
    with (
        temporary() as directory,
        configured(flags.hosts, directory) as mirrors,
        authorized(flags.source.context or "") as access,
    ):
        if flags.hosts.no_fallback:
            _check_fallback(pushed, mirrors)
        context, dockerfile = _context(flags.source)
        metadata = directory / "metadata.json"
        words = [*_words(flags, pushed), *access, "--metadata-file", os.fspath(metadata), *dockerfile, context]
        code = build.main(words, prog_name="pybuild executor", standalone_mode=False)
        if code:
            return int(code)
        # Not by the build, which fails when a tag exists and must not change.
        if flags.destination.immutable:
            for name in pushed:
                _push(name, _access(flags))
        _write_digests(flags.destination, json.loads(metadata.read_text())["containerimage.digest"])
    return 0


def _check(flags: ExecutorFlags) -> tuple[str, ...]:
    """Return the names to push. Raises RequestError for flags that contradict each other or cannot be had."""
    wanted = flags.destination
    no_push = wanted.no_push or _is_set("KANIKO_NO_PUSH")
    if not (wanted.destinations or no_push):
        raise RequestError("you must provide --destination, or use --no-push")
    if wanted.materialize:
        raise RequestError("--materialize is not supported", hint="steps never run on the files of this container")
    if not wanted.destinations and (wanted.named_digests or wanted.tagged_digests):
        raise RequestError("a file of names with digests needs --destination")
    return () if no_push else full_names(wanted.destinations)


def _check_fallback(pushed: tuple[str, ...], mirrors: Mapping[str, tuple[str, ...]]) -> None:
    """Refuse to push to a registry in whose place mirrors are used: the image would go to a mirror."""
    for name in pushed:
        if parse_reference(name).registry in mirrors:
            raise RequestError(f"--skip-default-registry-fallback: {name} would be pushed to a mirror")


def _is_set(variable: str) -> bool:
    value = os.environ.get(variable, "")
    try:
        return bool(value) and parse_bool(value)
    except ValueError as error:
        raise RequestError(f"invalid ${variable} {value!r}: {error}") from error


def _words(flags: ExecutorFlags, pushed: tuple[str, ...]) -> Iterator[str]:
    """Yield the words of ``pybuild build`` for these flags."""
    wanted = flags.destination
    repeated = {"--tag": wanted.destinations, "--build-arg": flags.build_args, "--label": flags.labels}
    for name, values in {**repeated, "--annotation": flags.annotations, "--secret": flags.secrets}.items():
        yield from (word for value in values for word in (name, value))
    if pushed and not wanted.immutable:
        yield "--push"
    if wanted.tar_path is not None:
        yield f"--output=type=docker,dest={wanted.tar_path}"
    if wanted.layout is not None:
        yield f"--output=type=oci,tar=false,dest={wanted.layout}"
    for name, value in (("--target", flags.target), ("--platform", flags.platform), ("--cache-ttl", flags.cache_ttl)):
        yield from (name, value) if value is not None else ()
    if flags.compression is not None or flags.compression_level is not None:
        level = "" if flags.compression_level is None else f",{flags.compression_level}"
        yield f"--compression={flags.compression or 'gzip'}{level}"
    if flags.cache:
        yield from _cache(flags)
    if flags.single_snapshot:
        yield "--squash"
    if flags.reproducible:
        yield "--timestamp=0"
    yield from _access(flags)


def _access(flags: ExecutorFlags) -> tuple[str, ...]:
    return ("--no-tls-verify",) if flags.hosts.insecure or flags.hosts.skip_tls_verify else ()


def _cache(flags: ExecutorFlags) -> Iterator[str]:
    if flags.cache_repo is None and not flags.destination.destinations:
        raise RequestError("--cache needs --cache-repo when there is no --destination")
    repository = flags.cache_repo or f"{_repository(full_names(flags.destination.destinations[:1])[0])}/cache"
    source, target = f"type=registry,ref={repository}", f"type=registry,ref={repository}"
    if repository.startswith("oci:"):
        directory = repository.removeprefix("oci:")
        source, target = f"type=local,src={directory}", f"type=local,dest={directory}"
    yield f"--cache-from={source}"
    if not flags.no_push_cache:
        yield f"--cache-to={target},mode=max"


def _repository(name: str) -> str:
    directory, slash, last = name.rpartition("/")
    return f"{directory}{slash}{last.partition(':')[0]}"


def _push(name: str, access: tuple[str, ...]) -> None:
    """Push an image of the store. A tag that exists and must not change is a warning."""
    try:
        push.main(["--quiet", *access, name], prog_name="pybuild executor", standalone_mode=False)
    except PushFailed as error:
        if not _IMMUTABLE.search(str(error)):
            raise
        warn(f"{name} was not pushed: {error}")


def _context(flags: SourceFlags) -> tuple[str, list[str]]:
    """Return the context as ``build`` takes it, and the words for the Dockerfile; a tar archive becomes the input."""
    if flags.bucket:
        raise RequestError("contexts in buckets are not supported", hint="use dir://, tar://, git:// or https://")
    given = flags.context or os.fspath(_WORKSPACE if _WORKSPACE.is_dir() else Path())
    kind, mark, place = given.partition("://")
    if kind == "tar" and mark:
        if place != "stdin":
            _be_input(place)
        if flags.sub_path:
            raise RequestError("--context-sub-path goes with a directory or git", hint="unpack the archive")
        return "-", ["--file", flags.dockerfile] if flags.dockerfile else []
    if kind in {"git", "https", "http"} and mark:
        found = address(kind, place, flags) if is_repository(kind, place) else given
        return found, ["--file", flags.dockerfile] if flags.dockerfile else []
    if mark and kind != "dir":
        raise RequestError(f"contexts at {kind}:// are not supported", hint="use dir://, tar://, git:// or https://")
    directory = Path(place if mark else given) / (flags.sub_path or "")
    return os.fspath(directory), ["--file", _dockerfile(flags.dockerfile, directory)] if flags.dockerfile else []


def _dockerfile(named: str, directory: Path) -> str:
    """Return the path of a Dockerfile. Kaniko takes it as it is, and when nothing is there as one in the context."""
    if re.match("https?://", named) or Path(named).exists():
        return named
    return os.fspath(directory / named.lstrip("/"))


def _be_input(place: str) -> None:
    try:
        opened = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise RequestError(f"the context {place} cannot be read: {kernel_reason(error)}") from error
    os.dup2(opened, 0)
    os.close(opened)


def _write_digests(flags: DestinationFlags, digest: str) -> None:
    if flags.digest_file is not None:
        replace_file(flags.digest_file, digest.encode())
    names = full_names(flags.destinations)
    for path, lines in (
        (flags.named_digests, [f"{_repository(name)}@{digest}\n" for name in names]),
        (flags.tagged_digests, [f"{name}@{digest}\n" for name in names]),
    ):
        if path is not None:
            replace_file(path, "".join(lines).encode())
