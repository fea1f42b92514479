"""What Python's own json module says about a document: its bytes, its meaning, whether it is one."""
import json

import documents

MAX_DEPTH = 127


def file_bytes(document):
    return (json.dumps(document, indent=2, sort_keys=True) + "\n").encode("ascii")


def compact(value):
    """JSON as the library hands it out (apart from U+007F, which may be escaped)."""
    return documents.escaped(json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")))


def same(one, other):
    """Equal as JSON: unlike ==, tells 1 from 1.0 and True, and 0.0 from -0.0."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def is_value(data):
    """Whether these bytes are one JSON value that a store takes."""
    try:
        value = _parse(data)
    except ValueError:
        return False
    return _depth(value) <= MAX_DEPTH


def is_document(data):
    """Whether these bytes are a file that a store reads."""
    try:
        root = _parse(data)
    except ValueError:
        return False
    if not isinstance(root, _Members):
        return False
    return _depth(root) <= MAX_DEPTH + 1 and not any(has_lone_surrogate(key) for key, _ in root)


class _Members(list):
    """An object as its members, so that values hidden by a repeated key are judged too."""


def _parse(data):
    text = data.decode("utf-8")
    # Numbers stay text: Python refuses to convert very long ones, which are valid JSON.
    return json.loads(text, parse_constant=_refuse, parse_int=str, parse_float=str,
                      object_pairs_hook=_Members)


def _refuse(constant):
    raise ValueError(f"{constant} is not JSON")


def _children(value):
    if isinstance(value, _Members):
        return [child for _, child in value]
    return value if isinstance(value, list) else []


def _depth(value):
    if not isinstance(value, list):
        return 0
    return 1 + max(map(_depth, _children(value)), default=0)


def has_lone_surrogate(text):
    return any("\ud800" <= character <= "\udfff" for character in text)
