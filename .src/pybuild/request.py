"""What a `pybuild.Request` is made of: a part for each phase of a build, and the values that stand in them.

    Request(files=..., planning=..., execution=..., result=..., caches=...)
      Files       the context, the Dockerfile, named contexts
      Planning    build arguments, target, labels, platform, network
      Execution   compression, Secret, Resources, Volume, jobs
      Result      tags, Target, platforms, Annotation, outputs, Stored
      Caches      what earlier work counts, and what is kept for later builds

Outputs are a `LocalOutput`, `TarOutput`, `OciOutput`, `DockerOutput`, `RegistryOutput` or `ImageOutput`, caches a
`LocalCache`, `RegistryCache`, `GhaCache` or `InlineCache`. `Request.of` takes the fields without their parts.

Values are frozen. They check themselves when they are made, and raise `pybuild.errors.RequestError`.
"""

from pybuild.builder.caches.places import GhaCache, InlineCache, LocalCache, RegistryCache
from pybuild.builder.outputs.docker import DockerOutput
from pybuild.builder.outputs.image import ImageOutput
from pybuild.builder.outputs.local import LocalOutput
from pybuild.builder.outputs.oci import OciOutput
from pybuild.builder.outputs.registry import RegistryOutput
from pybuild.builder.outputs.tar import TarOutput
from pybuild.builder.request import (
    Annotation,
    Caches,
    Compression,
    Execution,
    Files,
    Planning,
    Request,
    Resources,
    Result,
    Secret,
    Shape,
    Stored,
    Target,
    Volume,
)

__all__ = [
    "Annotation",
    "Caches",
    "Compression",
    "DockerOutput",
    "Execution",
    "Files",
    "GhaCache",
    "ImageOutput",
    "InlineCache",
    "LocalCache",
    "LocalOutput",
    "OciOutput",
    "Planning",
    "RegistryCache",
    "RegistryOutput",
    "Request",
    "Resources",
    "Result",
    "Secret",
    "Shape",
    "Stored",
    "TarOutput",
    "Target",
    "Volume",
]
