"""Check the picture that a user uploads as the logo, and write it again as a small PNG.

So only the pixels are stored and served: no comment, no location, and no bytes after the picture. An SVG is refused,
since it may contain scripts.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext as _

from subscriptions.errors import Refused

if TYPE_CHECKING:
    from PIL import Image

MAX_BYTES: Final = 1_000_000
# The longest side in pixels, of the uploaded file and of the stored PNG. Pages and mails show at most a third of it.
MAX_SIDE: Final = 4_000
STORED_SIDE: Final = 400
# A JPEG is unpacked once for each of its scans, and one of 1 MB can have thousands. Programs write 10 or so.
MAX_SCANS: Final = 64
SCAN: Final = b"\xff\xda"
FORMATS: Final = ("PNG", "JPEG")
TYPE: Final = "image/png"


@dataclass(frozen=True, slots=True)
class Logo:
    """A checked logo: a PNG."""

    content: bytes
    width: int
    height: int

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def checked_logo(given: bytes) -> Logo:
    """The picture in this file, as a PNG of at most STORED_SIDE pixels. Raises Refused."""
    # Here, since few processes ever see a logo.
    from PIL import Image

    if len(given) > MAX_BYTES:
        raise Refused(_("The logo has more than {limit} KB. Save it smaller.").format(limit=MAX_BYTES // 1000))
    try:
        if given.count(SCAN) > MAX_SCANS:
            raise ValueError("too many scans")
        with Image.open(BytesIO(given), formats=FORMATS) as picture:
            # Up to here, no pixels were unpacked.
            _check_sides(*picture.size)
            return _stored(picture)
    except Image.DecompressionBombError as error:
        sentence = _("The logo has too many pixels. Use at most {limit} on each side.")
        raise Refused(sentence.format(limit=MAX_SIDE)) from error
    except (LookupError, OSError, SyntaxError, TypeError, ValueError, struct.error) as error:
        raise Refused(
            _("This is no PNG or JPEG that LicenseHub can read. Save the logo again as PNG, and choose that file.")
        ) from error


def _check_sides(width: int, height: int) -> None:
    if max(width, height) > MAX_SIDE:
        sizes = {"width": width, "height": height, "limit": MAX_SIDE}
        raise Refused(_("The logo has {width} x {height} pixels. Use at most {limit} on each side.").format(**sizes))


def _stored(picture: Image.Image) -> Logo:
    from PIL import ImageOps

    # A camera stores the rotation as metadata, which is not kept. So the pixels are rotated.
    shown = ImageOps.exif_transpose(picture).convert("RGBA")
    shown.thumbnail((STORED_SIDE, STORED_SIDE))
    written = BytesIO()
    shown.save(written, "PNG", optimize=True)
    return Logo(written.getvalue(), *shown.size)
