"""Values on a driver's lines: bytes among JSON, as every driver writes and reads them. Owns that form, and the way out for
answers."""

import base64
import hashlib
import json
import os

# The client logs to stdout: answers leave by a descriptor of their own.
ANSWERS = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)

# Longer binary results go back as length and digest, bytes.
INLINE_BYTES_MAX = 64 * 1024


def pattern(count):
    """The same bytes in every language: i % 251."""
    base = bytes(range(251))
    return (base * (count // 251 + 1))[:count]


def decoded(value):
    if isinstance(value, dict):
        if "$bytes" in value:
            return base64.b64decode(value["$bytes"])
        if "$pattern" in value:
            return pattern(value["$pattern"])
        return {key: decoded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [decoded(item) for item in value]
    return value


def encoded(value):
    if isinstance(value, (bytes, bytearray, memoryview)):
        data = bytes(value)
        if len(data) > INLINE_BYTES_MAX:
            return {"$sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        return {"$bytes": base64.b64encode(data).decode()}
    if isinstance(value, dict):
        # The client's maps give their keys as attributes: a schema's "items" hides the method.
        return {key: encoded(item) for key, item in dict.items(value) if not callable(item)}
    if isinstance(value, (list, tuple)):
        return [encoded(item) for item in value]
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)


def say(id, answer):
    ANSWERS.write(json.dumps({"id": id, **answer}) + "\n")


def failure(error):
    return {"ok": False, "error": f"{type(error).__name__}: {error}"}
