"""The links of *My license* and of invitations work without a login, so no log may contain them."""

from __future__ import annotations

import logging
import re

# An invitation has two parts behind its name, the link of a person one.
LINK = re.compile(r"(/license/)[^/\s?\"']+|(/welcome/)[^/\s?\"']+/[^/\s?\"']+")


class RedactLinks(logging.Filter):
    """Django logs the path of each request that it answers with 4xx or 5xx."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if LINK.search(text):
            record.msg, record.args = LINK.sub(lambda found: f"{found[1] or found[2]}***", text), None
        return True
