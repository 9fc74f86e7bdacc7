"""The document that ``--metadata-file`` writes, with the keys of ``docker buildx build``."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pybuild.builder.display.warnings import document as warning_document
from pybuild.builder.options import is_true
from pybuild.builder.progress import Warned

# References of buildx are 25 digits in base 36 (BuildKit, identity.NewID).
_REF = 25
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"


def metadata(outcome: Any, warnings: Sequence[Warned], env: Mapping[str, str]) -> bytes:
    """Return the document. With several targets it has one key for each, as that of ``buildx bake``.

    Warnings are included when BUILDX_METADATA_WARNINGS is set.
    """
    import secrets

    ref = "".join(secrets.choice(_ALPHABET) for _ in range(_REF))
    about: dict[str, Any] = {"buildx.build.ref": f"pybuild/pybuild/{ref}"}
    document: dict[str, Any] = {}
    if is_true(env.get("BUILDX_METADATA_WARNINGS", "")):
        document["buildx.build.warnings"] = [warning_document(warning) for warning in warnings]
    document |= {stage: {**about, **_image(each)} for stage, each in outcome.targets} or {**about, **_image(outcome)}
    return json.dumps(document, indent=2, sort_keys=True).encode() + b"\n"


def _image(outcome: Any) -> dict[str, Any]:
    descriptor = outcome.descriptor
    configs = {f"containerimage.config.digest/{image.platform}": str(image.image_id) for image in outcome.platforms}
    own = {} if configs else {"config.digest": str(outcome.image_id)}
    created = {"org.opencontainers.image.created": outcome.created} if outcome.created else {}
    return {
        **(configs or {"containerimage.config.digest": str(outcome.image_id)}),
        "containerimage.descriptor": {
            "annotations": {**descriptor.annotations, **own, **created},
            "mediaType": descriptor.media_type,
            "digest": str(descriptor.digest),
            "size": descriptor.size,
            **_platform(descriptor.platform),
        },
        "containerimage.digest": str(descriptor.digest),
        **({"image.name": ",".join(outcome.names)} if outcome.names else {}),
    }


def _platform(platform: Any) -> dict[str, Any]:
    """Return the member of the descriptor, whose platform is None for an index."""
    if platform is None:
        return {}
    names = {"architecture": platform.architecture, "os": platform.os, "variant": platform.variant}
    return {"platform": {name: value for name, value in names.items() if value}}
