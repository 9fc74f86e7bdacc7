"""The images that a request asks for: one, one for each target, or an index with one for each platform."""

from pybuild.builder.errors import RequestError
from pybuild.builder.request import Planning, Result
from pybuild.runtime.values import frozen, replace


@frozen
class RequestedImage:
    """What gets names and is exported as one: an image, or the index of several."""

    step: str = "exporting to image"
    """The name of the step that exports it."""
    tags: tuple[str, ...]
    images: tuple[tuple[str, Planning], ...]
    """(platform, how it is planned) of each image. The platform is "" when the build makes no index."""
    is_index: bool = False


def requested_images(result: Result, planning: Planning) -> tuple[RequestedImage, ...]:
    """Return the results of a build: platforms in normal form and each once, targets in their order."""
    if result.targets:
        return tuple(
            RequestedImage(
                step=f"exporting {target.stage} to image",
                tags=target.tags,
                images=(("", replace(planning, target=target.stage)),),
            )
            for target in result.targets
        )
    if result.platforms:
        from pybuild.builder.platforms import wanted_platform

        names = dict.fromkeys(str(wanted_platform(text)) for text in result.platforms)
        images = tuple((name, replace(planning, platform=name)) for name in names)
        return (RequestedImage(tags=result.tags, images=images, is_index=True),)
    return (RequestedImage(tags=result.tags, images=(("", planning),)),)


def check_images(result: Result) -> None:
    """Raise RequestError for an output or annotation that the number of images does not permit."""
    if result.targets and result.platforms:
        raise RequestError(
            "several targets cannot be combined with several platforms", hint="build one target after another"
        )
    if not result.platforms:
        _check_annotations(result)
    for output in result.outputs:
        if result.targets and output.rootfs:
            raise RequestError(f"--output type={output.rootfs} takes one target", hint="build one after another")
        if result.platforms and output.one_platform:
            raise RequestError(output.one_platform, hint="build one platform, or use -o type=oci")


def _check_annotations(result: Result) -> None:
    """Raise RequestError for an annotation of an index when the build makes none."""
    for kind in ("index", "index-descriptor"):
        if any(item.kind == kind for item in result.annotations):
            hint = "an index lists several platforms; annotate the manifest, without index:"
            raise RequestError(
                f"{kind.replace('-', ' ')} annotations not supported for single platform export", hint=hint
            )
