"""The flags of Kaniko's executor."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from pybuild.builder.cli.command import Command
from pybuild.builder.cli.flags.group import option, part
from pybuild.builder.cli.flags.values import FilePath
from pybuild.runtime.values import frozen

_Function = TypeVar("_Function", bound=Callable[..., Any])
_FILE = FilePath()
_NOT_USED = (
    *("--cache-dir", "--snapshot-mode", "--snapshotMode", "--ignore-path", "--kaniko-dir", "--verbosity", "-v"),
    *("--log-format", "--push-retry", "--image-fs-extract-retry", "--image-download-retry", "--credential-helpers"),
)
"""They take a value. Steps run in a sandbox of their own, so nothing of this container gets into a layer."""
_SWITCHES = (
    *("--force", "--cleanup", "--pre-cleanup", "--preserve-context", "--use-new-run", "--skip-unused-stages"),
    *("--ignore-var-run", "--whitelist-var-run", "--cache-copy-layers", "--cache-run-layers", "--compressed-caching"),
    *("--log-timestamp", "--skip-push-permission-check", "--force-build-metadata"),
)
_OTHER_NAMES = {
    "--tarPath": "--tar-path",
    "--customPlatform": "--custom-platform",
    "--insecure-pull": "--insecure",
    "--skip-tls-verify-pull": "--skip-tls-verify",
    "--skip-tls-verify-registry": "--insecure-registry",
}


@frozen
class SourceFlags:
    """Where the files are that Kaniko's flags name."""

    context: str | None = option(
        "-c", "--context", metavar="CONTEXT", help="dir://, tar://, git:// or https:// (default: /workspace, else .)."
    )
    sub_path: str | None = option("--context-sub-path", metavar="PATH", help="Build in this directory of the context.")
    git: str | None = option("--git", metavar="branch=NAME", help="Branch of a git context.")
    bucket: str | None = option("-b", "--bucket", hidden=True)
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
    immutable: bool = option(
        "--push-ignore-immutable-tag-errors", is_flag=True, help="Succeed when a tag exists and must not change."
    )
    materialize: bool = option("--materialize", is_flag=True, hidden=True)
    tar_path: Path | None = option("--tar-path", metavar="FILE", type=_FILE, help="Write an archive for docker load.")
    layout: Path | None = option("--oci-layout-path", metavar="DIR", type=_FILE, help="Write the image as OCI layout.")
    digest_file: Path | None = option("--digest-file", metavar="FILE", type=_FILE, help="Write the digest to FILE.")
    named_digests: Path | None = option(
        "--image-name-with-digest-file", metavar="FILE", type=_FILE, help="Write NAME@DIGEST to FILE."
    )
    tagged_digests: Path | None = option(
        "--image-name-tag-with-digest-file", metavar="FILE", type=_FILE, help="Write NAME:TAG@DIGEST to FILE."
    )


@frozen
class MirrorFlags:
    """How registries are accessed."""

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
    maps: tuple[str, ...] = option(
        "--registry-map", multiple=True, metavar="HOST=MIRROR;...", help="Mirrors of registries; repeatable."
    )
    no_fallback: bool = option(
        "--skip-default-registry-fallback", is_flag=True, help="Pull from the mirrors, and nowhere else."
    )
    certificates: tuple[str, ...] = option(
        "--registry-certificate", multiple=True, metavar="HOST=FILE", help="Authority of a registry; repeatable."
    )
    client_certificates: tuple[str, ...] = option(
        "--registry-client-cert", multiple=True, metavar="HOST=CERT,KEY", help="Certificate for a registry; repeatable."
    )


@frozen
class ExecutorFlags:
    """Flags of Kaniko that mean something here."""

    source: SourceFlags = part(SourceFlags)
    destination: DestinationFlags = part(DestinationFlags)
    hosts: MirrorFlags = part(MirrorFlags)
    cache: bool = option("--cache", is_flag=True, help="Cache layers in a repository.")
    cache_repo: str | None = option(
        "--cache-repo", metavar="NAME", help="Repository for layers (default: NAME/cache), or oci:DIR."
    )
    no_push_cache: bool = option("--no-push-cache", is_flag=True, help="Do not push layers to the repository.")
    cache_ttl: str | None = option("--cache-ttl", metavar="DURATION", help="Do not use cached layers older than this.")
    build_args: tuple[str, ...] = option("--build-arg", multiple=True, metavar="NAME=VALUE", help="Build argument.")
    labels: tuple[str, ...] = option("--label", multiple=True, metavar="NAME=VALUE", help="Label.")
    annotations: tuple[str, ...] = option("--annotation", multiple=True, metavar="NAME=VALUE", help="Annotation.")
    secrets: tuple[str, ...] = option("--secret", multiple=True, metavar="id=ID,...", help="Secret for RUN --mount.")
    target: str | None = option("--target", metavar="STAGE", help="Build this stage.")
    platform: str | None = option("--custom-platform", metavar="OS/ARCH", help="Platform of the image.")
    compression: str | None = option("--compression", metavar="gzip|zstd", help="Compression of new layers.")
    compression_level: str | None = option("--compression-level", metavar="LEVEL", help="Level of the compression.")
    single_snapshot: bool = option("--single-snapshot", is_flag=True, help="Squash newly built layers into one.")
    reproducible: bool = option("--reproducible", is_flag=True, help="Set all times in the image to 1970.")


class ExecutorCommand(Command):
    """A command that also takes the other names of flags, which the help does not list."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse *args* after the other names were replaced."""
        parts = (word.partition("=") for word in args)
        words = ("".join((_OTHER_NAMES.get(name, name), *rest)) for name, *rest in parts)
        # Unlike click, Go programs take -d=NAME.
        return super().parse_args(ctx, [re.sub(r"\A(-\w)=", r"\1", word) for word in words])


def add_unused_flags(function: _Function) -> _Function:
    """Add the flags that change nothing here, hidden."""
    for name in _NOT_USED:
        function = click.option(name, multiple=True, hidden=True, expose_value=False)(function)
    for name in _SWITCHES:
        function = click.option(name, is_flag=True, hidden=True, expose_value=False)(function)
    return function
