"""``pybuild executor``: a build with the flags of Kaniko, which become those of ``pybuild build``."""

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click

from pybuild.builder.cli.command import Command
from pybuild.builder.cli.commands.build.build import command as build
from pybuild.builder.cli.flags.group import option, part, takes
from pybuild.builder.cli.flags.values import FilePath
from pybuild.builder.errors import RequestError
from pybuild.builder.outputs.files import replace_file
from pybuild.builder.request.checks import full_names
from pybuild.runtime.errors import kernel_reason
from pybuild.runtime.paths.scratch import temporary
from pybuild.runtime.values import frozen

_Function = TypeVar("_Function", bound=Callable[..., Any])
_FILE = FilePath()
_NOT_USED = (
    *("--cache-dir", "--snapshot-mode", "--snapshotMode", "--ignore-path", "--kaniko-dir", "--verbosity", "-v"),
    *("--log-format", "--log-timestamp", "--push-retry", "--image-fs-extract-retry", "--image-download-retry"),
)
"""They take a value. Steps run in a sandbox of their own, so nothing of this container gets into a layer."""
_SWITCHES = (
    *("--force", "--cleanup", "--use-new-run", "--ignore-var-run", "--whitelist-var-run", "--skip-unused-stages"),
    *("--cache-copy-layers", "--cache-run-layers", "--compressed-caching", "--push-ignore-immutable-tag-errors"),
)
_OTHER_NAMES = {
    "--tarPath": "--tar-path",
    "--customPlatform": "--custom-platform",
    "--insecure-pull": "--insecure",
    "--skip-tls-verify-pull": "--skip-tls-verify",
    "--skip-tls-verify-registry": "--insecure-registry",
}
_EPILOG = """\b
Kaniko's --snapshot-mode, --ignore-path, --force and the like change nothing: steps
run in a sandbox on a file system of their own, never in that of the container.
Several images cannot lack a --destination unless --no-push is given. Credentials
are read from $DOCKER_CONFIG/config.json and where docker and podman keep them.
"""


@frozen
class SourceFlags:
    """Where the files are that Kaniko's flags name."""

    context: str = option("-c", "--context", metavar="CONTEXT", default=".", help="dir://, tar://, git:// or https://.")
    sub_path: str | None = option("--context-sub-path", metavar="PATH", help="Build in this directory of the context.")
    git: str | None = option("--git", metavar="branch=NAME", help="Branch of a git context.")
    dockerfile: str | None = option(
        "-f", "--dockerfile", metavar="PATH", help="Dockerfile; in the context when it is not there."
    )


@frozen
class DestinationFlags:
    """Where the image goes, and what is said of it."""

    destinations: tuple[str, ...] = option(
        "-d", "--destination", multiple=True, metavar="NAME", help="Push to this name; repeatable."
    )
    no_push: bool = option("--no-push", is_flag=True, help="Do not push the image.")
    tar_path: Path | None = option("--tar-path", metavar="FILE", type=_FILE, help="Write an archive for docker load.")
    layout: Path | None = option("--oci-layout-path", metavar="DIR", type=_FILE, help="Write the image as OCI layout.")
    digest_file: Path | None = option("--digest-file", metavar="FILE", type=_FILE, help="Write the digest to FILE.")
    named_digests: Path | None = option(
        "--image-name-with-digest-file",
        metavar="FILE",
        type=_FILE,
        help="Write NAME@DIGEST to FILE.",
    )


@frozen
class ExecutorFlags:
    """Flags of Kaniko that mean something here."""

    source: SourceFlags = part(SourceFlags)
    destination: DestinationFlags = part(DestinationFlags)
    cache: bool = option("--cache", is_flag=True, help="Cache layers in a repository.")
    cache_repo: str | None = option("--cache-repo", metavar="NAME", help="Repository for layers (default: NAME/cache).")
    no_push_cache: bool = option("--no-push-cache", is_flag=True, help="Do not push layers to the repository.")
    cache_ttl: str | None = option("--cache-ttl", metavar="DURATION", help="Do not use cached layers older than this.")
    build_args: tuple[str, ...] = option("--build-arg", multiple=True, metavar="NAME=VALUE", help="Build argument.")
    labels: tuple[str, ...] = option("--label", multiple=True, metavar="NAME=VALUE", help="Label.")
    target: str | None = option("--target", metavar="STAGE", help="Build this stage.")
    platform: str | None = option("--custom-platform", metavar="OS/ARCH", help="Platform of the image.")
    compression: str | None = option("--compression", metavar="gzip|zstd", help="Compression of new layers.")
    compression_level: str | None = option("--compression-level", metavar="LEVEL", help="Level of the compression.")
    single_snapshot: bool = option("--single-snapshot", is_flag=True, help="Squash newly built layers into one.")
    reproducible: bool = option("--reproducible", is_flag=True, help="Set all times in the image to 1970.")
    insecure: bool = option("--insecure", is_flag=True, help="Use registries without HTTPS.")
    skip_tls_verify: bool = option("--skip-tls-verify", is_flag=True, help="Do not verify certificates of registries.")
    insecure_registries: tuple[str, ...] = option(
        "--insecure-registry",
        multiple=True,
        metavar="HOST",
        help="Use this registry without HTTPS, or with any certificate.",
    )
    mirrors: tuple[str, ...] = option(
        "--registry-mirror", multiple=True, metavar="HOST", help="Mirror of Docker Hub; repeatable."
    )


class _Command(Command):
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take the other names of flags, which the help does not list."""
        parts = (word.partition("=") for word in args)
        words = ("".join((_OTHER_NAMES.get(name, name), *rest)) for name, *rest in parts)
        # Unlike click, Go programs take -d=NAME.
        return super().parse_args(ctx, [re.sub(r"\A(-\w)=", r"\1", word) for word in words])


def _foreign(function: _Function) -> _Function:
    for name in _NOT_USED:
        function = click.option(name, multiple=True, hidden=True, expose_value=False)(function)
    for name in _SWITCHES:
        function = click.option(name, is_flag=True, hidden=True, expose_value=False)(function)
    return function


@click.command("executor", cls=_Command, epilog=_EPILOG)
@takes(ExecutorFlags, "flags")
@_foreign
def command(*, flags: ExecutorFlags) -> int:
    """Build and push an image, with the flags of Kaniko's executor."""
    if not (flags.destination.destinations or flags.destination.no_push):
        raise RequestError("you must provide --destination, or use --no-push")
    with temporary() as directory:
        if flags.mirrors or flags.insecure_registries:
            os.environ["CONTAINERS_REGISTRIES_CONF"] = os.fspath(_registries(flags, directory))
        context, dockerfile = _context(flags.source)
        metadata = directory / "metadata.json"
        words = [*_words(flags), "--metadata-file", os.fspath(metadata), *dockerfile, context]
        code = build.main(words, prog_name="pybuild executor", standalone_mode=False)
        if code:
            return int(code)
        _write_digests(flags.destination, json.loads(metadata.read_text())["containerimage.digest"])
    return 0


def _words(flags: ExecutorFlags) -> Iterator[str]:
    """Yield the words of ``pybuild build`` for these flags."""
    wanted, names = flags.destination, flags.destination.destinations
    for name, values in (("--tag", names), ("--build-arg", flags.build_args), ("--label", flags.labels)):
        yield from (word for value in values for word in (name, value))
    if names and not wanted.no_push:
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
    if flags.insecure or flags.skip_tls_verify:
        yield "--no-tls-verify"


def _cache(flags: ExecutorFlags) -> Iterator[str]:
    if flags.cache_repo is None and not flags.destination.destinations:
        raise RequestError("--cache needs --cache-repo when there is no --destination")
    repository = flags.cache_repo or f"{_repository(full_names(flags.destination.destinations[:1])[0])}/cache"
    yield f"--cache-from=type=registry,ref={repository}"
    if not flags.no_push_cache:
        yield f"--cache-to=type=registry,ref={repository},mode=max"


def _repository(name: str) -> str:
    directory, slash, last = name.rpartition("/")
    return f"{directory}{slash}{last.partition(':')[0]}"


def _context(flags: SourceFlags) -> tuple[str, list[str]]:
    """Return the context as ``build`` takes it, and the words for the Dockerfile; a tar archive becomes the input."""
    kind, mark, place = flags.context.partition("://")
    if kind == "tar" and mark:
        if place != "stdin":
            _be_input(place)
        if flags.sub_path:
            raise RequestError("--context-sub-path goes with a directory or git", hint="unpack the archive")
        return "-", ["--file", flags.dockerfile] if flags.dockerfile else []
    if kind in {"git", "https", "http"} and mark:
        return _address(kind, place, flags), ["--file", flags.dockerfile] if flags.dockerfile else []
    if mark and kind != "dir":
        raise RequestError(f"contexts at {kind}:// are not supported", hint="use dir://, tar://, git:// or https://")
    directory = Path(place if mark else flags.context) / (flags.sub_path or "")
    if flags.dockerfile is None:
        return os.fspath(directory), []
    # Kaniko takes a path as it is, and when nothing is there as one in the context.
    named = Path(flags.dockerfile)
    return os.fspath(directory), ["--file", os.fspath(named if named.exists() else directory / named)]


def _be_input(place: str) -> None:
    try:
        opened = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise RequestError(f"the context {place} cannot be read: {kernel_reason(error)}") from error
    os.dup2(opened, 0)
    os.close(opened)


def _address(kind: str, place: str, flags: SourceFlags) -> str:
    """Return the URL of a git repository or of an archive. Kaniko's ``git://`` is https, with ``#REF#COMMIT``."""
    path, _, fragment = place.partition("#")
    if kind != "git" and not path.endswith(".git"):
        return f"{kind}://{place}"
    branch = dict(item.partition("=")[::2] for item in (flags.git or "").split(",")).get("branch", "")
    reference = fragment.rpartition("#")[2] or branch
    found = f"https://{path}" if kind == "git" else f"{kind}://{path}"
    found = found if found.endswith(".git") else f"{found}.git"
    tail = f"{reference}:{flags.sub_path}" if flags.sub_path else reference
    return f"{found}#{tail}" if tail else found


def _registries(flags: ExecutorFlags, directory: Path) -> Path:
    """Write a configuration in which Docker Hub has these mirrors, and these registries need no HTTPS."""
    path = directory / "registries.conf"
    text = "".join(
        f"[[registry]]\nlocation = {json.dumps(host)}\ninsecure = true\n" for host in flags.insecure_registries
    )
    if flags.mirrors:
        text += '[[registry]]\nprefix = "docker.io"\nlocation = "docker.io"\n'
        text += "".join(f"[[registry.mirror]]\nlocation = {json.dumps(host)}\n" for host in flags.mirrors)
    path.write_text(text, encoding="utf-8")
    return path


def _write_digests(flags: DestinationFlags, digest: str) -> None:
    if flags.digest_file is not None:
        replace_file(flags.digest_file, digest.encode())
    if flags.named_digests is not None:
        names = (f"{_repository(name)}@{digest}\n" for name in full_names(flags.destinations))
        replace_file(flags.named_digests, "".join(names).encode())
