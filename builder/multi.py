"""A build for several platforms or of several targets: one plan and one image for each, one solution of all.

The images of several platforms are listed in one index.
"""

from dataclasses import replace

from pybuild.builder.dockerfile import DockerfileText
from pybuild.builder.errors import RequestError
from pybuild.builder.graph.merge import merge
from pybuild.builder.graph.planning import make_plan
from pybuild.builder.image.annotations import check_annotations, index_annotations, manifest_annotations
from pybuild.builder.image.assemble import assemble
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.image import Image
from pybuild.builder.oci.model import Descriptor, ImageConfig, Index
from pybuild.builder.plan.plan import Plan
from pybuild.builder.platforms import wanted_platform
from pybuild.builder.reporter import Reporter
from pybuild.builder.request import Request
from pybuild.builder.solve.solver import Solved, solve_all
from pybuild.builder.sources.pins import Remotes
from pybuild.builder.store.store import Store
from pybuild.runtime.values import frozen

Plans = tuple[tuple[str, Plan], ...]
"""(platform, plan); of a build for this machine or one platform there is one, its platform is not named."""


@frozen
class PlatformImage:
    """The image that a build made for one platform; *descriptor* names its manifest and says for which one."""

    platform: str
    image_id: Digest
    descriptor: Descriptor
    created: str


def check_request(request: Request) -> None:
    """Raise RequestError for an output or an annotation that the number of platforms rules out."""
    if request.result.targets:
        _check_targets(request)
    if not request.result.platforms:
        check_annotations(request.result)
        return
    for output in request.result.outputs:
        if output.one_platform:
            raise RequestError(output.one_platform, hint="build one platform, or use -o type=oci")


def _check_targets(request: Request) -> None:
    if request.result.platforms:
        raise RequestError("several targets do not go with several platforms", hint="build one target after another")
    for output in request.result.outputs:
        if output.rootfs:
            raise RequestError(f"--output type={output.rootfs} takes one target", hint="build one after another")


def make_target_plans(file: DockerfileText, request: Request, store: Store, remotes: Remotes) -> Plans:
    """Return the plan of each target of *request*; no platform is named."""
    requests = (request.changed(target=target.stage, targets=()) for target in request.result.targets)
    return tuple(("", make_plan(file, each, store, remotes)) for each in requests)


def make_plans(file: DockerfileText, request: Request, store: Store, remotes: Remotes) -> Plans:
    """Return (platform, plan) for each platform of *request*, platforms in normal form and each once."""
    names = dict.fromkeys(str(wanted_platform(text)) for text in request.result.platforms)
    return tuple(
        (name, make_plan(file, request.changed(platform=name, platforms=()), store, remotes)) for name in names
    )


def solve_plans(plans: Plans, request: Request, store: Store, reporter: Reporter) -> tuple[Solved, ...]:
    """Solve the target of each plan; what several plans share is done once."""
    merged = merge(plans)
    reporter.expect(merged.plan, last_steps(request))
    return solve_all(merged.plan, merged.targets, request, store, reporter)


def last_steps(request: Request) -> int:
    """Return how many steps of the builder's own follow those of the plan: images and caches that are written."""
    result, caches = request.result, request.caches.cache_to
    archives = result.targets and any(output.together for output in result.outputs)
    return (len(result.targets) or 1) + bool(archives) + sum(not spec.inline for spec in caches)


def assemble_all(plans: Plans, solved: tuple[Solved, ...], request: Request, store: Store) -> tuple[PlatformImage, ...]:
    """Write the image of each plan to the store."""
    images = []
    for (platform, plan), own in zip(plans, solved, strict=True):
        image = assemble_one(plan, own, request, store)
        created = image.config.created
        images.append(PlatformImage(platform=platform, image_id=image.id, descriptor=image.descriptor, created=created))
    return tuple(images)


def assemble_one(plan: Plan, solved: Solved, request: Request, store: Store) -> Image:
    """Write the image of *plan* to the store, without a name."""
    config = ImageConfig.from_json(plan.config.encode())
    if request.caches.cache_to:
        from pybuild.builder.caches.export import inline

        config = replace(config, build_cache=inline(solved.finished, request.caches, store))
    layers = solved.layers
    if request.result.squash:
        from pybuild.builder.image.squash import squashed

        config, layers = squashed(config, layers, request.result.squash, request.execution, store)
    image = assemble(
        config,
        layers,
        store.blobs,
        planned=plan.created,
        epoch=request.execution.source_date_epoch,
        annotations=manifest_annotations(request.result, config),
    )
    noted = replace(image.descriptor, annotations=manifest_annotations(request.result, config, "manifest-descriptor"))
    return replace(image, descriptor=noted)


def export_caches(solved: tuple[Solved, ...], request: Request, store: Store, reporter: Reporter) -> None:
    """Write the caches that were asked for; each has the steps of all images. Raises BuildError."""
    if request.caches.cache_to:
        from pybuild.builder.caches.export import export

        targets = tuple(target for each in solved for target in each.finished.targets)
        export(replace(solved[0].finished, targets=targets), request.caches, store, reporter)


def write_index(images: tuple[PlatformImage, ...], request: Request, store: Store) -> Descriptor:
    """Write the index that lists *images*, in their order."""
    index = Index(manifests=tuple(image.descriptor for image in images), annotations=index_annotations(request.result))
    descriptor = store.blobs.put(index.to_json(), index.media_type)
    return replace(descriptor, annotations=index_annotations(request.result, "index-descriptor"))
