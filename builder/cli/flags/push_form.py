"""The flags of ``push`` that convert an image for the upload."""

import click

from pybuild.builder.cli.flags.build_values import checked_compression
from pybuild.builder.cli.flags.group import option, takes
from pybuild.builder.errors import RequestError
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.store.store import Store
from pybuild.runtime.values import frozen

_DOCKER = {"oci": False, "v2s2": True, "docker": True}


@frozen
class PushForm:
    """How an image is converted. *docker* None keeps its media types, *algorithm* "" keeps its layers."""

    docker: bool | None = None
    algorithm: str = ""
    level: int | None = None

    def of(self, opened: Store, descriptor: Descriptor) -> Descriptor:
        """Return *descriptor* in this form. The converted blobs stay in the store until the next prune."""
        if self.docker is None and not self.algorithm:
            return descriptor
        from pybuild.builder.oci.convert import Form, convert

        form = Form(docker=bool(self.docker), algorithm=self.algorithm, level=self.level)
        return convert(opened.blobs, descriptor, form)


@frozen
class FormFlags:
    """The form in which an image is uploaded."""

    kind: str | None = option(
        "--format",
        type=click.Choice([*_DOCKER]),
        help="Convert media types: oci, or Docker's (v2s2 or docker).",
    )
    algorithm: str | None = option(
        "--compression-format", metavar="TYPE", help="Recompress all layers: gzip, zstd or uncompressed."
    )
    level: str | None = option("--compression-level", metavar="LEVEL", help="Level for --compression-format.")
    force_compression: bool = option("--force-compression", is_flag=True, hidden=True)

    def form(self) -> PushForm:
        """Return the form. Raises RequestError."""
        if self.level and not self.algorithm:
            raise RequestError("--compression-level needs --compression-format")
        packed = checked_compression(self.algorithm, self.level) if self.algorithm else None
        docker = _DOCKER[self.kind] if self.kind else None
        if docker and packed is not None and packed.algorithm == "zstd":
            raise RequestError("zstd needs OCI media types", hint="leave out --format")
        return PushForm(
            docker=docker,
            algorithm=packed.algorithm if packed else "",
            level=packed.level if packed and self.level else None,
        )


form_options = takes(FormFlags, "form", FormFlags.form)
"""Adds these flags to a command, which gets their values as ``form``."""
