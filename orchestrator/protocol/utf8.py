"""Bytes to text: UTF-8 and nothing else; every bad byte has its place."""

from __future__ import annotations

from typing import Final

from orchestrator.protocol.positions import Mark

_BOM: Final = b"\xef\xbb\xbf"
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
_MOST_BAD: Final = 50  # bad places told one by one


def decode_utf8(data: bytes, most_bytes: int) -> tuple[str, list[Mark]]:
    """Decode, and say what stands in the way.

    Returns:
        The text without byte order mark, a replacement sign for each bad byte; and the marks. A
        fatal mark means that there is no use in reading the text.
    """
    if len(data) > most_bytes:
        what = f"the file has {len(data)} bytes; the most is {most_bytes}"
        return "", [Mark(0, (), what, fatal=True)]
    try:
        return data.removeprefix(_BOM).decode("utf-8"), []
    except UnicodeDecodeError:
        pass
    if data.startswith(_UTF16):
        return "", [Mark(0, (), "the file is UTF-16; save it as UTF-8", fatal=True)]
    return _decode_around(memoryview(data.removeprefix(_BOM)))


def _decode_around(data: memoryview) -> tuple[str, list[Mark]]:
    pieces: list[str] = []
    marks: list[Mark] = []
    start = length = 0
    while len(marks) < _MOST_BAD:
        try:
            pieces.append(str(data[start:], "utf-8"))
        except UnicodeDecodeError as error:
            good = str(data[start : start + error.start], "utf-8")
            length += len(good)
            byte = data[start + error.start]
            what = f"the byte 0x{byte:02x} is not UTF-8; save the file as UTF-8"
            marks.append(Mark(length, (), what))
            pieces += [good, "\ufffd"]
            length += 1
            start += error.end
        else:
            return "".join(pieces), marks
    pieces.append(str(data[start:], "utf-8", "replace"))
    return "".join(pieces), marks
