"""Tiny images made by code, with the standard library's tar and gzip: not with what is tested."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence

from pybuild.builder.oci import media
from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.image import Image, write_image
from pybuild.builder.oci.model import ContainerConfig, Descriptor, History, ImageConfig, Index, Platform

Files = Mapping[str, bytes]
DEFAULT = ContainerConfig(env=("PATH=/bin",), cmd=("/bin/sh",))
AMD64 = Platform(os="linux", architecture="amd64")
ARM64 = Platform(os="linux", architecture="arm64")


def tar_of(files: Files, links: Mapping[str, str] | None = None) -> bytes:
    """A tar archive of regular files and symbolic links."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for path, target in (links or {}).items():
            member = tarfile.TarInfo(path)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return buffer.getvalue()


def tiny_config(tars: Sequence[bytes], platform: Platform = AMD64, container: ContainerConfig = DEFAULT) -> ImageConfig:
    """The config of an image with these layers."""
    return ImageConfig(
        created="2024-01-02T03:04:05Z",
        architecture=platform.architecture,
        os=platform.os,
        variant=platform.variant,
        config=container,
        diff_ids=tuple(Digest.of(tar) for tar in tars),
        history=tuple(History(created_by=f"COPY layer {n} # test") for n in range(len(tars))),
    )


def tiny_image(
    blobs: BlobStore, *layers: Files, platform: Platform = AMD64, container: ContainerConfig = DEFAULT
) -> Image:
    """An image of gzip layers, one for each dict of files, in *blobs*."""
    tars = [tar_of(files) for files in layers]
    descriptors = [blobs.put(gzip.compress(tar, mtime=0), media.OCI_LAYER_GZIP) for tar in tars]
    return write_image(blobs, tiny_config(tars, platform, container), tuple(descriptors))


def tiny_index(blobs: BlobStore, *images: Image) -> Descriptor:
    """An index that lists *images*."""
    index = Index(manifests=tuple(image.descriptor for image in images))
    return blobs.put(index.to_json(), media.OCI_INDEX)


def docker_archive(tags: Sequence[str], *layers: Files, old: bool = False) -> bytes:
    """What ``docker save`` wrote: *old* before 1.10 shared layers by links, else plain ``<id>/layer.tar``."""
    tars = [tar_of(files) for files in layers]
    config = tiny_config(tars).to_json()
    name = hashlib.sha256(config).hexdigest() + ".json"
    paths: list[str] = []
    files, links, seen = {name: config}, dict[str, str](), dict[bytes, str]()
    for number, tar in enumerate(tars):
        path = f"{number:064x}/layer.tar"
        paths.append(path)
        files[f"{number:064x}/VERSION"] = b"1.0"
        files[f"{number:064x}/json"] = b'{"id":"%064x"}' % number
        if old and tar in seen:
            links[path] = f"../{seen[tar]}"
        else:
            files[path] = tar
        seen.setdefault(tar, path)
    files["manifest.json"] = json.dumps([{"Config": name, "RepoTags": list(tags) or None, "Layers": paths}]).encode()
    return tar_of(files, links)
