"""``--cache-to``: the cache of a finished build, written to where other stores look for it."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from pybuild.builder.caches.document import Mount, Remembered
from pybuild.builder.caches.places import GhaCache, KeptCache, Writing, kept, place_of
from pybuild.builder.errors import BuildError, PushFailed, reason
from pybuild.builder.oci import media
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.convert import recompress
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import OciError, RegistryError
from pybuild.builder.oci.streams.compression import check_level
from pybuild.builder.plan.keys import picks, selection_key
from pybuild.builder.plan.ops import Base, Local, Scratch
from pybuild.builder.plan.plan import Finished, Plan
from pybuild.builder.progress import Progress, Warned, silent
from pybuild.builder.reporter import Reporter
from pybuild.builder.request import Caches
from pybuild.builder.store.cache import BuiltLayer, Layers
from pybuild.builder.store.store import Store
from pybuild.builder.store.worker_calls import call_in_worker
from pybuild.runtime import stopping

_AT_ONCE = 4


def export(finished: Finished, caches: Caches, store: Store, reporter: Reporter) -> None:
    """Write all caches of ``--cache-to`` in parallel.

    Raises:
        BuildError: one could not be written, and ``ignore-error`` is not set for it. The image is in the store.
        PushFailed: the same of a registry, or of the service of `gha`.
    """
    active = _active(caches, reporter)
    work = [(spec, _remembered(spec.writing, finished, caches, store, reporter)) for spec in active]
    with stopping.pool(_AT_ONCE) as pool:
        for end in [pool.submit(_keep, *item, store, reporter) for item in work]:
            end.result()


def _active(caches: Caches, reporter: Reporter) -> list[KeptCache]:
    """Return the caches to write: not the inline one, and, as with buildx, no `gha` outside of a job."""
    active = []
    for spec in kept(caches.cache_to):
        if isinstance(spec, GhaCache):
            from pybuild.builder.caches.gha import access_of

            if access_of(spec) is None:
                reporter.progress(
                    Warned(message="type=gha: no cache is written, because this is not a job of GitHub Actions")
                )
                continue
        active.append(spec)
    return active


def inline(finished: Finished, caches: Caches, store: Store) -> str:
    """Return the document of an inline cache for the config of the image; "" without ``type=inline``.

    In a build for several platforms *finished* has one target, that of this image.
    """
    if not any(spec.inline for spec in caches.cache_to):
        return ""
    remembered = _gather(finished, store, everything=False)
    # The image must be reproducible, so no time in the document may be later than SOURCE_DATE_EPOCH.
    records = {key: Layers(replace(layer, made="") for layer in layers) for key, layers in remembered.records.items()}
    return replace(remembered, records=records).to_json().decode()


def _remembered(writing: Writing, finished: Finished, caches: Caches, store: Store, reporter: Reporter) -> Remembered:
    mounts: tuple[Mount, ...] = ()
    if writing.all_mounts or writing.mounts:
        from pybuild.builder.caches.mounts import mount_names

        names = mount_names(finished, store, lambda name: writing.all_mounts or name in writing.mounts)
        with reporter.step(f"packing {len(names)} cache mounts"):
            mounts = call_in_worker(_pack, store, reporter.progress, names, caches)
    return _gather(finished, store, everything=writing.everything, mounts=mounts)


def _gather(finished: Finished, store: Store, *, everything: bool, mounts: tuple[Mount, ...] = ()) -> Remembered:
    """Return the cache content of a plan that was solved.

    With *everything* (``mode=max``) it has every vertex, else only those whose layers the images have. Layers that this
    build did not need are fetched from the imported caches, so that an exported cache is complete.
    """
    plan, keys = finished.plan, finished.keys
    chains = {index for target in finished.targets for index in _chain(plan, target)}
    records: dict[Digest, Layers] = {}
    for index in range(len(plan.vertices)) if everything else sorted(chains):
        if index not in keys or isinstance(plan.vertices[index].op, Base | Local | Scratch):
            continue
        if plan.is_mounted_context(index):
            continue  # every build has these files itself, with their exact times
        layers = _record(keys[index], store)
        if layers is not None:
            records[keys[index]] = layers
            if index in finished.own_keys:
                # The layer is the same on any rootfs, but this store may lack the record of the layer alone.
                records[finished.own_keys[index]] = Layers(layers[-1:])
    return Remembered(records=records, selections=_selections(plan, keys, store), mounts=mounts)


def _chain(plan: Plan, index: int) -> Iterator[int]:
    """Yield *index* and the vertices below it that its rootfs builds on."""
    yield index
    while plan.vertices[index].inputs:
        index = plan.vertices[index].inputs[0]
        yield index


def _record(key: Digest, store: Store) -> Layers | None:
    layers = store.cache.record(key)
    if layers is not None and all(store.blobs.has(layer.descriptor) for layer in layers if layer.created):
        return layers
    return store.cache.imported_record(key)


def _selections(plan: Plan, keys: Mapping[int, Digest], store: Store) -> dict[Digest, Digest]:
    found = {}
    for vertex in plan.vertices:
        for pick in picks(vertex.op):
            source = vertex.inputs[pick.input]
            if source not in keys:
                continue
            key = selection_key(vertex.op, pick, keys[source])
            content = store.cache.selection(key)
            if content is not None:
                found[key] = content
    return found


def _pack(store: Store, progress: Progress, names: tuple[str, ...], caches: Caches) -> tuple[Mount, ...]:
    from pybuild.builder.caches.imported import imported
    from pybuild.builder.caches.mounts import packed

    with store.in_use():
        known = store.cache.imported is not None or not caches.cache_from
        whole = store if known else imported(caches, store, Reporter(silent))
        return tuple(packed(names, whole, lambda text: progress(Warned(message=text))))


def _keep(spec: KeptCache, remembered: Remembered, store: Store, reporter: Reporter) -> None:
    place = place_of(spec)
    step = reporter.begin(f"exporting cache to {place.name}")
    try:
        place.keep(_compress(remembered, spec.writing, store.blobs), store, step.status)
    except (OciError, OSError) as error:
        step.fail(error)
        why = reason(error).removeprefix(f"{place.name}: ")
        text = f"failed to export cache to {place.name}: {why}"
        if not spec.writing.ignore_error:
            failure = PushFailed if isinstance(error, RegistryError) else BuildError
            raise failure(text, hint=getattr(error, "hint", "")) from error
        reporter.progress(Warned(message=text))
        return
    step.finish()


def _compress(remembered: Remembered, writing: Writing, blobs: BlobStore) -> Remembered:
    """Return *remembered* with its layers compressed as *writing* asks; new ones are put into *blobs*.

    Layers that are compressed in this way already stay as they are, unless ``force-compression=true``.
    Raises OciError and OSError.
    """
    if writing.compression is None:
        return remembered
    algorithm = writing.compression.algorithm
    level = check_level(algorithm, writing.compression.level)
    done = {}

    def one(layer: BuiltLayer) -> BuiltLayer:
        if media.layer_compression(layer.media_type) == algorithm and not writing.force_compression:
            return layer
        if layer.digest not in done:
            done[layer.digest] = recompress(blobs, layer.descriptor, algorithm, level)
        new = done[layer.digest]
        return replace(layer, digest=new.digest, size=new.size, media_type=new.media_type)

    def all_of(layers: Layers) -> Layers:
        return Layers(one(layer) if layer.created else layer for layer in layers)

    return replace(
        remembered,
        records={key: all_of(layers) for key, layers in remembered.records.items()},
        mounts=tuple(replace(mount, layer=one(mount.layer)) for mount in remembered.mounts),
    )
