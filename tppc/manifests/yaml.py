"""YAML for files that people read too: the head of a dataset card, `CITATION.cff`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

# YAML 1.2, 5.1: what may not stand in a stream as it is, and what YAML 1.1 takes for a line break.
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
_WORDS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}  # no strings to YAML 1.1
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def to_yaml(value: Mapping[str, Any]) -> str:
    """Block YAML of a JSON-able mapping, keys in their order. Every string is quoted, so nothing is taken for a number,
    a date or `no`."""
    return "".join(f"{line}\n" for line in _lines(value))


def _scalar(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)  # a JSON string is a YAML string, but for these characters
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04X}", text)


def _key(name: str) -> str:
    return name if _PLAIN.fullmatch(name) and name.lower() not in _WORDS else _scalar(name)


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if isinstance(inner, Mapping) and inner:
                yield f"{_key(name)}:"
                yield from (f"  {line}" for line in _lines(inner))
            elif isinstance(inner, list | tuple) and inner:
                yield f"{_key(name)}:"
                yield from _lines(inner)
            else:
                yield f"{_key(name)}: {_scalar(inner)}"
    else:
        for item in value:
            lines = list(_lines(item)) if isinstance(item, Mapping | list | tuple) and item else [_scalar(item)]
            yield f"- {lines[0]}"
            yield from (f"  {line}" for line in lines[1:])
