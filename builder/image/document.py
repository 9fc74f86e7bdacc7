"""The details of an image of the store, as a document in the form of ``docker inspect``."""

import json
from collections.abc import Iterable
from typing import Any

from pybuild.builder.image.catalog import Listed, content_size, familiar
from pybuild.builder.oci.image import Image, read_image
from pybuild.builder.oci.model import Platform
from pybuild.builder.oci.stored_index import choose_present
from pybuild.builder.store.store import Store

_CONFIG_DEFAULTS: dict[str, Any] = {
    "User": "",
    "ExposedPorts": None,
    "Env": None,
    "Cmd": None,
    "Volumes": None,
    "WorkingDir": "",
    "Entrypoint": None,
    "OnBuild": None,
    "Labels": None,
}


def image_document(
    store: Store, listed: Listed, entries: Iterable[Listed], platform: Platform | None = None
) -> dict[str, Any]:
    """Return the document of ``docker inspect`` for *listed*; its names are searched in *entries*.

    Of a multi-platform image it is the image for *platform*, else for this host, else the first one in the store.
    Raises OciError when that is missing.
    """
    chosen = listed.descriptor if platform else choose_present(store.blobs, listed.descriptor)
    image = read_image(store.blobs, chosen, platform)
    same = [entry for entry in entries if entry.name and entry.descriptor.digest == listed.descriptor.digest]
    names = [familiar(entry.name) for entry in same]
    digest = listed.descriptor.digest
    repositories = dict.fromkeys(name.rpartition(":")[0] for name in names)
    return {
        "Id": str(image.id),
        "RepoTags": names,
        "RepoDigests": [f"{repository}@{digest}" for repository in repositories],
        "Parent": "",
        "Comment": image.config.history[-1].comment if image.config.history else "",
        "Created": image.config.created,
        "DockerVersion": "",
        "Author": image.config.author,
        **_shape(image),
        "Descriptor": {
            "mediaType": listed.descriptor.media_type,
            "digest": str(digest),
            "size": listed.descriptor.size,
        },
    }


def _shape(image: Image) -> dict[str, Any]:
    document = json.loads(image.config.to_json())
    variant = {"Variant": image.config.variant} if image.config.variant else {}
    return {
        "Config": _CONFIG_DEFAULTS | document.get("config", {}),
        "Architecture": image.config.architecture,
        **variant,
        "Os": image.config.os,
        "Size": content_size(image),
        "RootFS": {"Type": "layers", "Layers": [str(diff_id) for diff_id in image.config.diff_ids]},
        # Go's zero time, which Docker shows for an image without a time of its tag.
        "Metadata": {"LastTagTime": "0001-01-01T00:00:00Z"},
    }
