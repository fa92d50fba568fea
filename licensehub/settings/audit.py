"""The settings of the audit: its checkpoint, anchors and streams."""

from __future__ import annotations

from pathlib import Path

from licensehub.settings.base import VAR_DIR, env, reader

# The last event of the audit, outside of the database: inside of it, a restore would put it back as well.
AUDIT_HEAD_FILE = Path(env.str("AUDIT_HEAD_FILE", default=str(VAR_DIR / "audit-head.json")))
# Where the processes of a host have users of their own, each user writes such a file, and all are compared.
AUDIT_HEAD_FILES = env.str("AUDIT_HEAD_FILES", default="").strip()

# Anchors: the end of the audit, signed and kept outside. docs/anchors.md explains the destinations.
ANCHOR_KEYS = env.str("ANCHOR_KEYS", default="").strip()
ANCHOR_KEY_FILE = Path(env.str("ANCHOR_KEY_FILE", default=str(VAR_DIR / "anchor-keys")))
ANCHOR_FILE = Path(env.str("ANCHOR_FILE", default=str(AUDIT_HEAD_FILE.parent / "audit-anchors.jsonl")))
ANCHOR_MAIL_TO = env.list("ANCHOR_MAIL_TO", default=[])
ANCHOR_MAIL_HOURS = reader.number("ANCHOR_MAIL_HOURS", 24)
ANCHOR_HTTPS_URL = env.str("ANCHOR_HTTPS_URL", default="").strip()
ANCHOR_HTTPS_TOKEN = env.str("ANCHOR_HTTPS_TOKEN", default="").strip()
ANCHOR_S3_BUCKET = env.str("ANCHOR_S3_BUCKET", default="").strip()
ANCHOR_S3_PREFIX = env.str("ANCHOR_S3_PREFIX", default="licensehub/").strip()
ANCHOR_S3_REGION = env.str("ANCHOR_S3_REGION", default="").strip()
ANCHOR_S3_ENDPOINT = env.str("ANCHOR_S3_ENDPOINT", default="").strip()
ANCHOR_S3_MODE = reader.one_of("ANCHOR_S3_MODE", "COMPLIANCE", ["COMPLIANCE", "GOVERNANCE"])
ANCHOR_S3_DAYS = reader.number("ANCHOR_S3_DAYS", 2557)  # seven years
ANCHOR_TSA_URL = env.str("ANCHOR_TSA_URL", default="").strip()
ANCHOR_TSA_CA_FILE = env.str("ANCHOR_TSA_CA_FILE", default="").strip()

# Streams: each event as a line of JSON, for a SIEM. docs/siem.md explains them.
AUDIT_STREAM_FILE = env.str("AUDIT_STREAM_FILE", default="").strip()
AUDIT_STREAM_STDOUT = reader.switch("AUDIT_STREAM_STDOUT", False)
AUDIT_STREAM_SYSLOG = env.str("AUDIT_STREAM_SYSLOG", default="").strip()
AUDIT_STREAM_HTTPS_URL = env.str("AUDIT_STREAM_HTTPS_URL", default="").strip()
AUDIT_STREAM_HTTPS_KEY = env.str("AUDIT_STREAM_HTTPS_KEY", default="").strip()
AUDIT_STREAM_FROM = reader.one_of("AUDIT_STREAM_FROM", "beginning", ["beginning", "now"])

# The network settings for anchors and streams. HTTPS_PROXY, REQUESTS_CA_BUNDLE and the like are not read.
AUDIT_PROXY = env.str("AUDIT_PROXY", default="").strip()
AUDIT_CA_BUNDLE = env.str("AUDIT_CA_BUNDLE", default="").strip()
