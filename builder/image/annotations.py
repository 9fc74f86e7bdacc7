"""Which of a build's annotations go where.

A manifest's are for its platform, an index's for what lists them; those of a descriptor stand where it names either.
"""

from pybuild.builder.errors import RequestError
from pybuild.builder.oci.model import ImageConfig, Platform
from pybuild.builder.platforms import parse_platform
from pybuild.builder.request import Result


def manifest_annotations(result: Result, config: ImageConfig, kind: str = "manifest") -> dict[str, str]:
    """Return the annotations of the manifest of an image with this *config*, or of its descriptor."""
    own = Platform(os=config.os, architecture=config.architecture, variant=config.variant)
    return {
        item.key: item.value
        for item in result.annotations
        if item.kind == kind and (not item.platform or parse_platform(item.platform) == own)
    }


def index_annotations(result: Result, kind: str = "index") -> dict[str, str]:
    """Return the annotations of the index, or of its descriptor."""
    return {item.key: item.value for item in result.annotations if item.kind == kind}


def check_annotations(result: Result) -> None:
    """Raise RequestError when an index is annotated and the build makes none."""
    for kind in ("index", "index-descriptor"):
        if index_annotations(result, kind):
            hint = "an index lists several platforms; annotate the manifest, without index:"
            raise RequestError(
                f"{kind.replace('-', ' ')} annotations not supported for single platform export", hint=hint
            )
