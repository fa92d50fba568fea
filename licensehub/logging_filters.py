"""The links of *My license* and of invitations work without a login, so no log may contain them."""

from __future__ import annotations

import logging
import re

LINK = re.compile(r"(/license/|/welcome/)[^\s?\"']+")


class RedactLinks(logging.Filter):
    """Django logs the path of each request that it answers with 4xx or 5xx."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if LINK.search(text):
            record.msg, record.args = LINK.sub(r"\1***", text), None
        return True
