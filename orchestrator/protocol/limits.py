"""How large a document may be. Beyond these it is refused by name, with its position.

They are far above anything a person or a worker writes, and low enough that a hostile document
costs a bounded amount of memory and time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MAX_JSON_BYTES: Final = 8 * 1024 * 1024
MAX_YAML_BYTES: Final = 1024 * 1024  # YAML is for what people write; it costs more to read
MAX_QUEUE_BYTES: Final = 256 * 1024 * 1024  # a million tasks; read one by one, never as a tree
MAX_STRING: Final = 1_000_000  # characters of one string
MAX_KEY: Final = 1_000  # characters of one key
MAX_DEPTH: Final = 64  # objects and arrays inside one another
MAX_NODES: Final = 200_000  # values in one document, aliases of YAML counted as written out
MAX_INTEGER: Final = 2**53 - 1  # RFC 8259 section 6: what every JSON reader agrees on
MAX_PROBLEMS: Final = 1_000  # told at once; the last line says how many more there are


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one reading; bytes, characters, levels and values."""

    json_bytes: int = MAX_JSON_BYTES
    yaml_bytes: int = MAX_YAML_BYTES
    string: int = MAX_STRING
    depth: int = MAX_DEPTH
    nodes: int = MAX_NODES


USUAL: Final = Limits()
