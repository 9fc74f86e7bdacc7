"""The flags of ``push`` by which an image is uploaded in another form than the store has it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

import click

from pybuild.builder.cli.flags.build import compression
from pybuild.builder.errors import RequestError
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.store.store import Store

_R = TypeVar("_R")
_DOCKER = {"oci": False, "v2s2": True, "docker": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class PushForm:
    """*docker* is None when the media types stay, *algorithm* "" when the layers do."""

    docker: bool | None = None
    algorithm: str = ""
    level: int | None = None

    def of(self, opened: Store, descriptor: Descriptor) -> Descriptor:
        """Return *descriptor* in this form, which the store has until the next prune."""
        if self.docker is None and not self.algorithm:
            return descriptor
        from pybuild.builder.oci.convert import Form, convert

        form = Form(docker=bool(self.docker), algorithm=self.algorithm, level=self.level)
        return convert(opened.blobs, descriptor, form)


def form_options(function: Callable[..., _R]) -> Callable[..., _R]:
    """Add the flags; *function* gets what they say as ``form``."""

    @click.option(
        "--format",
        "kind",
        type=click.Choice([*_DOCKER]),
        help="Convert media types: oci, or Docker's (v2s2 or docker).",
    )
    @click.option(
        "--compression-format", "algorithm", metavar="TYPE", help="Recompress all layers: gzip, zstd or uncompressed."
    )
    @click.option("--compression-level", "level", metavar="LEVEL", help="Level for --compression-format.")
    @click.option("--force-compression", is_flag=True, hidden=True)
    @wraps(function)
    def with_form(*arguments: Any, kind: str | None, algorithm: str | None, level: str | None, **flags: Any) -> _R:
        flags.pop("force_compression")
        return function(*arguments, form=_form(kind, algorithm, level), **flags)

    return with_form


def _form(kind: str | None, algorithm: str | None, level: str | None) -> PushForm:
    if level and not algorithm:
        raise RequestError("--compression-level needs --compression-format")
    packed = compression(f"{algorithm},{level}" if level else algorithm) if algorithm else None
    docker = _DOCKER[kind] if kind else None
    if docker and packed is not None and packed.algorithm == "zstd":
        raise RequestError("zstd needs OCI media types", hint="leave out --format")
    return PushForm(
        docker=docker,
        algorithm=packed.algorithm if packed else "",
        level=packed.level if packed and level else None,
    )
