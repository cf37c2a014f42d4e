"""Log lines as JSON, one object a line, with the job and attempt, or the request, they belong to.

Pass those as `extra={"job_id": ..., "attempt": ...}`, or bind them once with a
`logging.LoggerAdapter`.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

CONTEXT = (
    *("worker_id", "job_id", "attempt"),
    *("request_id", "method", "route", "path", "status", "seconds", "key_id"),
)


class JsonFormatter(logging.Formatter):
    """time, level, logger, message, and and what is known of job, request and exception."""

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: getattr(record, name) for name in CONTEXT if hasattr(record, name)}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def configure_logging(level: str) -> None:
    """Write every log line of this process to stderr as JSON, from `level` up.

    httpx is left out: it writes down the URLs of webhooks, and those may hold secrets.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)
