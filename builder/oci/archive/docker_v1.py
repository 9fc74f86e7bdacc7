"""Archives of Docker before 1.10: ``repositories`` names the topmost layer of each image, each layer names its parent.

These archives have no image config: most of it is in the document of the topmost layer, the rest in the chain of
parents.
"""

from collections.abc import Iterator

from pybuild.builder.oci.archive.files import ArchiveFiles
from pybuild.builder.oci.errors import BlobNotFound, InvalidImage
from pybuild.builder.oci.image_config import ImageConfig
from pybuild.builder.oci.json_documents import Fields, encode, parse_object
from pybuild.builder.oci.layers.layer import Layer

_LAYERS = 1000
"""Far above the 127 layers that Docker had room for."""

V1Image = tuple[tuple[str, ...], ImageConfig, tuple[Layer, ...]]
"""The names in the archive, a config made from it, and the layers, the lowest first."""


def read_v1(files: ArchiveFiles, repositories: bytes) -> Iterator[V1Image]:
    """Yield the images of an old archive. Raises InvalidImage or BlobNotFound."""
    fields = parse_object(repositories, "repositories")
    names: dict[str, list[str]] = {}
    for repository in fields.values:
        for tag, top in fields.text_map(repository).items():
            names.setdefault(top, []).append(f"{repository}:{tag}")
    for top, found in names.items():
        chain = tuple(_chain(files, top))
        layers = tuple(layer for _, layer in reversed(chain))
        yield tuple(found), _config([document for document, _ in reversed(chain)], layers), layers


def _chain(files: ArchiveFiles, layer_id: str) -> Iterator[tuple[Fields, Layer]]:
    """Yield the documents and contents of a layer and of its ancestors."""
    for _ in range(_LAYERS):
        raw, layer = files.document(f"{layer_id}/json"), files.layer(f"{layer_id}/layer.tar")
        if raw is None or layer is None:
            raise BlobNotFound(f"the archive has no layer {layer_id[:100]!r}")
        document = parse_object(raw, f"layer {layer_id[:100]}")
        yield document, layer
        layer_id = document.text("parent")
        if not layer_id:
            return
    raise InvalidImage(f"more than {_LAYERS} layers on one another, or a layer that is its own parent")


def _config(documents: list[Fields], layers: tuple[Layer, ...]) -> ImageConfig:
    top = documents[-1]
    config = {
        "architecture": "amd64",
        "os": "linux",
        **{key: value for key, value in top.values.items() if value},
        "rootfs": {"type": "layers", "diff_ids": [str(layer.diff_id) for layer in layers]},
        "history": [_history(document) for document in documents],
    }
    return ImageConfig.from_json(encode(config), top.context)


def _history(document: Fields) -> dict[str, object]:
    ran = document.nested("container_config")
    command = ran.texts("Cmd") if ran else None
    return {
        "created": document.text("created") or None,
        "created_by": " ".join(command or ()),
        "author": document.text("author"),
        "comment": document.text("comment"),
    }
