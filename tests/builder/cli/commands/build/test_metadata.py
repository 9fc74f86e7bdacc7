"""The document of --metadata-file: the keys of buildx."""

import json
from base64 import b64encode
from types import SimpleNamespace
from typing import Any

from pybuild.builder.cli.commands.build.metadata import metadata
from pybuild.builder.oci import media
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.model import Descriptor, Platform
from pybuild.builder.progress import Warned

ID, DIGEST = Digest.of(b"config"), Digest.of(b"manifest")


def outcome(**changes: Any) -> SimpleNamespace:
    platform = Platform(os="linux", architecture="arm", variant="v7")
    descriptor = Descriptor(media_type=media.OCI_MANIFEST, digest=DIGEST, size=9, platform=platform)
    known = {"descriptor": descriptor, "image_id": ID, "created": "2026-01-01T00:00:00Z"}
    return SimpleNamespace(**{**known, "names": ("a:1", "b:1"), "platforms": (), "targets": (), **changes})


def document(built: SimpleNamespace, *warnings: Warned, **env: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(metadata(built, warnings, env))
    return found


def test_one_image_has_its_id_its_digest_and_its_names() -> None:
    found = document(outcome())
    assert found["containerimage.config.digest"] == str(ID)
    assert found["containerimage.digest"] == str(DIGEST)
    assert found["image.name"] == "a:1,b:1"
    assert found["containerimage.descriptor"] == {
        "annotations": {"config.digest": str(ID), "org.opencontainers.image.created": "2026-01-01T00:00:00Z"},
        "mediaType": media.OCI_MANIFEST,
        "digest": str(DIGEST),
        "size": 9,
        "platform": {"architecture": "arm", "os": "linux", "variant": "v7"},
    }


def test_each_build_has_a_reference_of_its_own() -> None:
    one, other = document(outcome())["buildx.build.ref"], document(outcome())["buildx.build.ref"]
    assert one != other
    assert one.startswith("pybuild/pybuild/")
    assert len(one.rpartition("/")[2]) == 25


def test_without_a_name_there_is_no_member_for_it() -> None:
    assert "image.name" not in document(outcome(names=()))


def test_several_platforms_have_a_member_for_each_config() -> None:
    images = (
        SimpleNamespace(platform="linux/amd64", image_id=ID),
        SimpleNamespace(platform="linux/arm64", image_id=DIGEST),
    )
    found = document(outcome(platforms=images))
    assert found["containerimage.config.digest/linux/amd64"] == str(ID)
    assert found["containerimage.config.digest/linux/arm64"] == str(DIGEST)
    assert "containerimage.config.digest" not in found


def test_several_targets_have_a_document_each() -> None:
    found = document(outcome(targets=(("one", outcome()), ("two", outcome(names=("c:1",))))))
    assert set(found) == {"one", "two"}
    assert found["two"]["image.name"] == "c:1"


def test_warnings_are_there_when_they_are_asked_for() -> None:
    warned = (Warned(message="careful", line=3), Warned(message="no place"))
    assert "buildx.build.warnings" not in document(outcome(), *warned)
    assert document(outcome(), *warned, BUILDX_METADATA_WARNINGS="1")["buildx.build.warnings"] == [
        {
            "level": 1,
            "short": b64encode(b"careful (line 3)").decode(),
            "range": [{"start": {"line": 3}, "end": {"line": 3}}],
        },
        {"level": 1, "short": b64encode(b"no place").decode()},
    ]
