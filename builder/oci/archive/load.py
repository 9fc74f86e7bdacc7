"""Images from an archive: an OCI layout, the output of any version of ``docker save``, or both in one.

The archive is not trusted: documents and layers are compared with the digests that name them, every layer with its diff
ID. A config is stored unchanged, so the image ID never changes. So is a manifest, unless its layers are uncompressed
(newer ``docker save``) or Docker's table has none: then a new one is made for the stored layers.
"""

from dataclasses import dataclass

from pybuild.builder.oci import media
from pybuild.builder.oci.archive.docker_v1 import read_v1
from pybuild.builder.oci.archive.files import ArchiveFiles, take_files
from pybuild.builder.oci.archive.layout import LayoutFiles, check_diff_ids
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.errors import BlobNotFound, InvalidImage
from pybuild.builder.oci.json_documents import Fields, parse_objects
from pybuild.builder.oci.layers.layer import Layer
from pybuild.builder.oci.layout import name_of
from pybuild.builder.oci.model import Descriptor, ImageConfig, Index, Manifest
from pybuild.builder.oci.streams.reading import Readable


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """An image that was stored. *names* are those of the archive; nothing was tagged."""

    names: tuple[str, ...]
    descriptor: Descriptor


def load(blobs: BlobStore, stream: Readable) -> tuple[Loaded, ...]:
    """Store the images of an archive, which is read once from its beginning to its end and need not be a file.

    Raises:
        InvalidImage, DigestMismatch: it is not an image archive, or is inconsistent; no document was stored.
        BlobNotFound: it lacks a blob of its images.
    """
    return load_files(blobs, take_files(blobs, stream))


def load_files(blobs: BlobStore, files: ArchiveFiles) -> tuple[Loaded, ...]:
    """Store the images of an archive that was read; see `load`."""
    if (index := files.document("index.json")) is not None:
        return _from_layout(blobs, files, index)
    if (table := files.document("manifest.json")) is not None:
        return _from_docker(blobs, files, table)
    if (repositories := files.document("repositories")) is not None:
        # All are read before the first is stored.
        images = tuple(read_v1(files, repositories))
        return tuple(_store(blobs, names, config.to_json(), layers) for names, config, layers in images)
    raise InvalidImage(
        "this is not an image archive: it has no index.json, manifest.json or repositories",
        hint="use an archive of docker save, podman save, skopeo copy or an oci output",
    )


def _from_docker(blobs: BlobStore, files: ArchiveFiles, table: bytes) -> tuple[Loaded, ...]:
    """Read Docker's table. All of it is checked before the first document is stored."""
    images = [(entry, _docker_layers(files, entry)) for entry in parse_objects(table, "manifest.json")]
    configs = [_docker_config(files, entry, layers) for entry, layers in images]
    return tuple(
        _store(blobs, entry.texts("RepoTags") or (), raw, layers)
        for (entry, layers), raw in zip(images, configs, strict=True)
    )


def _store(blobs: BlobStore, names: tuple[str, ...], raw: bytes, layers: tuple[Layer, ...]) -> Loaded:
    """Make a manifest for an image without one, with its unchanged config and its stored layers."""
    config = blobs.put(raw, media.OCI_CONFIG)
    manifest = Manifest(config=config, layers=tuple(layer.descriptor for layer in layers))
    return Loaded(names=names, descriptor=blobs.put(manifest.to_json(), manifest.media_type))


def _docker_layers(files: ArchiveFiles, entry: Fields) -> tuple[Layer, ...]:
    layers = []
    for path in entry.texts("Layers") or ():
        layer = files.layer(path)
        if layer is None:
            raise BlobNotFound(f"{entry.at('Layers')}: the archive has no layer {path[:200]!r}")
        layers.append(layer)
    return tuple(layers)


def _docker_config(files: ArchiveFiles, entry: Fields, layers: tuple[Layer, ...]) -> bytes:
    path = entry.text("Config", required=True)
    raw = files.document(path)
    if raw is None:
        raise BlobNotFound(f"{entry.at('Config')}: the archive has no {path[:200]!r}")
    check_diff_ids(ImageConfig.from_json(raw, entry.at("Config")), layers, entry.context)
    return raw


def _from_layout(blobs: BlobStore, files: ArchiveFiles, index: bytes) -> tuple[Loaded, ...]:
    """Store the images of ``index.json``; several entries for one image are its names."""
    layout = LayoutFiles(files)
    names: dict[Descriptor, list[str]] = {}
    for entry in Index.from_json(index, "index.json").manifests:
        descriptor = layout.complete(entry)
        names.setdefault(descriptor, []).append(_image_name(entry))
    layout.store(blobs)
    return tuple(
        Loaded(names=tuple(dict.fromkeys(filter(None, found))), descriptor=descriptor)
        for descriptor, found in names.items()
    )


def _image_name(entry: Descriptor) -> str:
    """Return the name of the image of an entry; "" when it is only a tag, as skopeo writes it."""
    name = name_of(entry)
    return name if {"/", ":"} & set(name) else ""
