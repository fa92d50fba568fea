"""The exit codes of `licensehub`. They are stable: docs/command-line.md lists them."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from licensehub.api.client import ApiError


class Exit(IntEnum):
    DONE = 0
    FAILED = 1  # LicenseHub could not answer, e.g. an error 500
    USAGE = 2  # wrong arguments or values; nothing was done
    REFUSED = 3  # not possible now; the sentence says why
    NOT_ALLOWED = 4  # no valid token, or one without this right
    NOT_FOUND = 5
    NO_ANSWER = 6  # LicenseHub cannot be reached, or takes no more calls now
    DIFFERENT = 7  # a plan shows differences, or a test found something wrong


_OF_STATUS: Final = {
    0: Exit.NO_ANSWER,
    400: Exit.USAGE,
    401: Exit.NOT_ALLOWED,
    403: Exit.NOT_ALLOWED,
    404: Exit.NOT_FOUND,
    409: Exit.REFUSED,
    413: Exit.USAGE,
    422: Exit.USAGE,
    429: Exit.NO_ANSWER,
    502: Exit.NO_ANSWER,
    503: Exit.NO_ANSWER,
    504: Exit.NO_ANSWER,
}


def code_of(error: ApiError) -> Exit:
    """The exit code of a problem that the API answered with."""
    return _OF_STATUS.get(error.status, Exit.FAILED)
