"""Settings of gunicorn: `gunicorn --config python:licensehub.gunicorn licensehub.wsgi`."""

# By default, gunicorn believes `X-Forwarded-Proto` of requests from this machine. Only BEHIND_PROXY may decide that.
secure_scheme_headers: dict[str, str] = {}
# After SIGTERM, requests that have begun have so many seconds to end.
graceful_timeout = 12
