"""From layers to the documents of an image, and of the index that lists several, in the store without a name."""

from dataclasses import replace

from pybuild.builder.image.annotations import index_annotations, manifest_annotations
from pybuild.builder.image.assemble import assemble
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.model import Descriptor, ImageConfig, Index
from pybuild.builder.plan.plan import Plan
from pybuild.builder.request import Execution, Result
from pybuild.builder.store.cache import Layers
from pybuild.builder.store.store import Store
from pybuild.runtime.values import frozen


@frozen
class PlatformImage:
    """The image that a build made for one platform; *descriptor* names its manifest and says for which one."""

    platform: str
    image_id: Digest
    descriptor: Descriptor
    created: str


def write_image(
    plan: Plan,
    layers: Layers,
    result: Result,
    execution: Execution,
    store: Store,
    *,
    platform: str = "",
    build_cache: str = "",
) -> PlatformImage:
    """Write the image of *plan*. *build_cache* is the document of an inline cache, "" for none."""
    config = ImageConfig.from_json(plan.config.encode())
    if build_cache:
        config = replace(config, build_cache=build_cache)
    if result.squash:
        from pybuild.builder.image.squash import squashed

        config, layers = squashed(config, layers, result.squash, execution, store)
    image = assemble(
        config,
        layers,
        store.blobs,
        planned=plan.created,
        epoch=execution.source_date_epoch,
        annotations=manifest_annotations(result, config),
    )
    noted = replace(image.descriptor, annotations=manifest_annotations(result, config, "manifest-descriptor"))
    return PlatformImage(platform=platform, image_id=image.id, descriptor=noted, created=image.config.created)


def write_index(images: tuple[PlatformImage, ...], result: Result, store: Store) -> Descriptor:
    """Write the index that lists *images*, in their order."""
    index = Index(manifests=tuple(image.descriptor for image in images), annotations=index_annotations(result))
    descriptor = store.blobs.put(index.to_json(), index.media_type)
    return replace(descriptor, annotations=index_annotations(result, "index-descriptor"))
