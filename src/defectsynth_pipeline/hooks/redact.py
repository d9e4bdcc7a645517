"""What is logged holds no secret, and only names that MLflow takes."""

from __future__ import annotations

import hashlib
import posixpath
import re
import shlex
from collections.abc import Sequence

HIDDEN = "***"
_IN_URL = re.compile(r"(?<=://)[^/\s]+@")
_NAMED = re.compile(
    r"(?i)([\w.-]*(?:password|passwd|pwd|secret|token|credential|signature|api_?key|access_?key)"
    r"[\w.-]*[\"']?\s*[=:]\s*[\"']?|[?&;]sig=)[^,;&\"'\n]+"
)
_TOKEN = re.compile(r"\b(?:hf|gh[opsu]|glpat|xox[abp]|sk|AKIA)[-_]?[A-Za-z0-9-]{16,}\b")
_NAME_LIMIT = 250


def redact(text: str) -> str:
    """Return the text without passwords in URLs, values of secret names, and known tokens."""
    text = _IN_URL.sub(f"{HIDDEN}@", text)
    text = _NAMED.sub(lambda found: f"{found[1]}{HIDDEN}", text)
    return _TOKEN.sub(HIDDEN, text)


def redact_command(words: Sequence[str]) -> str:
    """Return a command that a shell takes, without its secrets."""
    return shlex.join(redact(word) for word in words)


def redact_setting(name: str, value: object) -> str:
    """Return the value as text, hidden if the name or the value says that it is a secret."""
    return redact(f"{name}={value}").removeprefix(f"{name}=")


def safe_name(name: str) -> str:
    """Return a name that MLflow takes for a metric, a parameter or a tag.

    Letters, digits and `_-. :` stay, single slashes too; a changed name ends in a hash of the one
    it was, so that two never become one.
    """
    safe = re.sub(r"[^\w\-. :/]", "_", name)
    if safe != posixpath.normpath(safe) or safe.startswith(("/", ".")):
        safe = safe.replace("/", "_").lstrip(".") or "_"
    if safe == name and len(name) <= _NAME_LIMIT:
        return name
    return f"{safe[: _NAME_LIMIT - 7]}.{hashlib.sha256(name.encode()).hexdigest()[:6]}"
