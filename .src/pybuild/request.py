"""What a `pybuild.Request` is made of: a part for each phase of a build, and the values that stand in them.

    Request(files=..., planning=..., execution=..., result=..., caches=...)
      Files       the context, the Dockerfile, named contexts
      Planning    build arguments, target, labels, platform, network
      Execution   compression, Secret, Resources, Volume, Rights, jobs
      Result      tags, Target, platforms, Annotation, outputs, Stored
      Caches      what earlier work counts, and what is kept for later builds

The classes named `...Output` are the kinds of outputs, those named `...Cache` the kinds of caches. `Request.of` takes
the fields without their parts.

Values are frozen. They check themselves when they are made, and raise `pybuild.errors.RequestError`.
"""

from pybuild.builder.caches import places
from pybuild.builder.caches.places import *
from pybuild.builder.outputs import kinds
from pybuild.builder.outputs.kinds import *
from pybuild.builder.request import (
    Annotation,
    Caches,
    Compression,
    Device,
    Execution,
    Files,
    Planning,
    Request,
    Resources,
    Result,
    Rights,
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
    "Rights",
    "Device",
    "Execution",
    "Files",
    "Planning",
    "Request",
    "Resources",
    "Result",
    "Secret",
    "Shape",
    "Stored",
    "Target",
    "Volume",
    *kinds.__all__,
    *places.__all__,
]
