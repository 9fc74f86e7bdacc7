"""Which of a build's annotations go where: a manifest's are for its platform, an index's for what lists them."""

from builder.errors import RequestError
from builder.oci.model import ImageConfig, Platform
from builder.platforms import parse_platform
from builder.request import Request


def manifest_annotations(request: Request, config: ImageConfig) -> dict[str, str]:
    """Return the annotations of the manifest of an image with this *config*."""
    own = Platform(os=config.os, architecture=config.architecture, variant=config.variant)
    return {
        item.key: item.value
        for item in request.annotations
        if item.kind == "manifest" and (not item.platform or parse_platform(item.platform) == own)
    }


def index_annotations(request: Request) -> dict[str, str]:
    """Return the annotations of the index."""
    return {item.key: item.value for item in request.annotations if item.kind == "index"}


def check_annotations(request: Request) -> None:
    """Raise RequestError when an index is annotated and the build makes none."""
    if index_annotations(request):
        hint = "an index lists several platforms; annotate the manifest, without index:"
        raise RequestError("index annotations not supported for single platform export", hint=hint)
