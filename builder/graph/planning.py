"""The images that a request asks for, and the plan of each: a new one, or the remembered one of an earlier build.

A remembered plan is valid while the text of the Dockerfile, the request and the pins of its references are the same.
Looking it up imports neither the parser nor the graph.

Several plans are merged into one graph: a vertex that several of them have is executed once. The steps of
a plan for one platform are named after it as BuildKit does: ``[linux/arm64 build 1/3]``, and
``[linux/amd64->arm64 build 1/3]`` for a stage of another platform than the image.
"""

import json
from collections.abc import Iterable, Sequence

from pybuild.builder.errors import RequestError
from pybuild.builder.oci.digest import Digest
from pybuild.builder.plan import codec
from pybuild.builder.plan.ops import Local
from pybuild.builder.plan.plan import Definition, Graph, Plan, Vertex
from pybuild.builder.request import Planning, Result
from pybuild.builder.sources.pins import Remotes, is_pin
from pybuild.builder.store.store import Store
from pybuild.runtime.values import frozen, replace

# Raised whenever the same Dockerfile and request give another plan than before.
_PLAN_FORMAT = 16

Plans = tuple[tuple[str, Plan], ...]
"""(platform, plan) of each image; the platform is "" when the build makes no index."""


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


def make_plans(
    definition: Definition,
    requested: Iterable[RequestedImage],
    remotes: Remotes,
    *,
    pull: str,
    preload: bool = False,
) -> Plans:
    """Return the plans of all requested images; see `plan_all`."""
    images = [image for each in requested for image in each.images]
    plans = plan_all(definition, [planning for _, planning in images], remotes, pull=pull, preload=preload)
    return tuple((platform, plan) for (platform, _), plan in zip(images, plans, strict=True))


def plan_all(
    definition: Definition,
    images: Sequence[Planning],
    remotes: Remotes,
    *,
    pull: str = "missing",
    preload: bool = False,
) -> list[Plan]:
    """Return the plan of each image, from an earlier build when nothing that it depends on has changed.

    *pull* is `builder.request.Caches.pull`; *remotes* holds what was pinned already in this build. With *preload* the
    modules that execute steps are imported while this process waits for another one (`GraphProcess`).

    Raises:
        DockerfileError, BuildError: the failure, with its span if it has one.
    """
    keys = [codec.digest(_PLAN_FORMAT, definition, planning) for planning in images]
    plans: list[Plan | None] = [None] * len(images)
    # With these, only the registry knows whether the pins of a plan still hold.
    if pull not in {"always", "newer"}:
        plans = [_remembered(key, planning.platform, remotes) for key, planning in zip(keys, images, strict=True)]
    known = [plan for plan in plans if plan is not None]
    if len(known) == len(images):
        return known
    from pybuild.builder.graph.planner_process import GraphProcess, preparations

    with GraphProcess(preparations(definition.text) if preload else ()) as graphs:
        graphs.start(definition)
        from pybuild.builder.graph.new_plan import make_new_plan

        made = []
        for key, planning, remembered in zip(keys, images, plans, strict=True):
            plan = remembered or make_new_plan(definition, planning, remotes, graphs, pull=pull)
            if remembered is None:
                remotes.store.cache.put_plan(key, json.dumps(codec.encode(plan)))
            made.append(plan)
    return made


def _remembered(key: Digest, platform: str | None, remotes: Remotes) -> Plan | None:
    document = remotes.store.cache.plan(key)
    if document is None:
        return None
    try:
        plan = codec.decode(json.loads(document))
    except (KeyError, TypeError, ValueError):
        return None  # written by another version
    if not isinstance(plan, Plan):
        return None
    images = ((name, pin) for name, pin in plan.pins if not is_pin(name))
    if not all(_still(name, pin, platform, remotes.store) for name, pin in images):
        return None
    return plan if all(remotes.holds(name, pin) for name, pin in plan.pins if is_pin(name)) else None


def _still(name: str, pin: str, target_platform: str | None, store: Store) -> bool:
    """Return whether *name*, a reference with or without a platform, still has the manifest of the plan."""
    from pybuild.builder.platforms import wanted_platform
    from pybuild.builder.sources.bases import usable

    reference, _, platform = name.partition(" ")
    image = usable(reference, wanted_platform(platform or target_platform), store)
    return image is not None and str(image.descriptor.digest) == pin


def merge(plans: Plans) -> Graph:
    """Merge (platform, plan) pairs. A vertex that several have keeps the name that the first one gives it."""
    if len(plans) == 1 and not plans[0][0]:
        return Graph.of(plans[0][1])
    indexes: dict[str, int] = {}
    vertices: list[Vertex] = []
    targets = []
    for platform, plan in plans:
        mine: list[int] = []
        for vertex in plan.vertices:
            inputs = tuple(mine[index] for index in vertex.inputs)
            identity = str(codec.digest(vertex.op, inputs))
            if identity not in indexes:
                indexes[identity] = len(vertices)
                vertices.append(replace(vertex, inputs=inputs, name=step_name(vertex, platform)))
            mine.append(indexes[identity])
        targets.append(mine[-1])
    return Graph(plan=Plan(vertices=tuple(vertices)), targets=tuple(targets))


def step_name(vertex: Vertex, platform: str) -> str:
    """Return the name of a step in a build for several platforms, *platform* being that of its image; "" for one."""
    of_no_platform = isinstance(vertex.op, Local) or vertex.name.startswith("[internal]")
    if not platform or not vertex.name.startswith("[") or of_no_platform:
        return vertex.name
    own = vertex.platform or platform
    arrow = "" if own == platform else f"->{platform.removeprefix('linux/')}"
    return f"[{own}{arrow} {vertex.name[1:]}"
