"""What can be wrong with blobs, images and registries."""


class OciError(Exception):
    """Root of the failures of this package. The message is complete; *hint* may say what to do."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class InvalidDigest(OciError):
    """A text is not a digest of a known algorithm."""


class DigestMismatch(OciError):
    """Content does not have the digest that names it."""


class SizeMismatch(OciError):
    """Content is shorter or longer than its descriptor says."""


class BlobNotFound(OciError):
    """A blob that something refers to is not in the store."""


class ImageNotFound(OciError):
    """No image has this name."""


class InvalidImage(OciError):
    """A document or an archive is not what the specification asks for."""


class LayerError(InvalidImage):
    """A layer archive is malformed, hostile or over a limit."""


class RegistryError(OciError):
    """A registry refused, failed or spoke nonsense.

    *status* is that of its answer, 0 when there is none to name; *code* is the registry's own word for it
    (distribution-spec, "Error Codes"), empty when it gave none.
    """

    def __init__(self, message: str, *, hint: str = "", status: int = 0, code: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.code = code


class RegistryDenied(RegistryError):
    """A registry wants to know who asks, or does not let this user have the content."""


class RegistryUnavailable(RegistryError):
    """A registry could not be reached or could not answer now; the same request may succeed later.

    *retry_after* is how many seconds it asked to wait, None when it did not say. *absent* tells that nobody is there:
    its name stands for no address, or the machine refuses connections; patience helps little then. *hung* tells that
    a connection, or an answer, did not come in time. Without a *status* there was no answer at all.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        status: int = 0,
        retry_after: float | None = None,
        absent: bool = False,
        hung: bool = False,
    ) -> None:
        super().__init__(message, hint=hint, status=status)
        self.retry_after = retry_after
        self.absent = absent
        self.hung = hung


class CredentialsError(OciError):
    """A file or a helper program that holds credentials cannot be used."""


class HelperMissing(CredentialsError):
    """A helper program that is to hold credentials is not installed."""
