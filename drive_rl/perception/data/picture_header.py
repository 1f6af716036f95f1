"""How large a picture is, by its first bytes: a small file may unpack to gigabytes. It decodes nothing.

Formats: PNG (ISO/IEC 15948), JPEG (ITU-T T.81, annex B), BMP, WebP (RFC 9649).
"""

import struct

KNOWN = "PNG, JPEG, BMP or WebP"
_NO_LENGTH = {0x01, *range(0xD0, 0xD8)}  # TEM and RST: markers that stand alone
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # SOF: width and height follow
_SCANS, _MOST_SCANS = b"\xff\xda", 100  # each goes over the whole picture; cameras write 1 to 10


def picture_size(data: bytes) -> tuple[int, int]:
    """Return width and height [px] from the file's header.

    Raises:
        ValueError: not a picture of a known format, or a JPEG that would be gone over more than a hundred times.
    """
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n") and data[12:16] == b"IHDR":
            return struct.unpack_from(">II", data, 16)
        if data.startswith(b"\xff\xd8\xff"):
            return _jpeg(data)
        if data.startswith(b"BM"):
            return _bmp(data)
        if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            return _webp(data)
    except (struct.error, IndexError) as error:
        raise ValueError("it ends within its header") from error
    raise ValueError(f"expected {KNOWN}")


def _jpeg(data: bytes) -> tuple[int, int]:
    if data.count(_SCANS) > _MOST_SCANS:
        raise ValueError(f"more than {_MOST_SCANS} scans")
    at = 2
    while True:
        while data[at] != 0xFF:  # decoders skip what lies between segments, too
            at += 1
        while data[at] == 0xFF:
            at += 1
        marker = data[at]
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 4)
            return width, height
        at += 1 if marker in _NO_LENGTH or marker == 0 else 1 + struct.unpack_from(">H", data, at + 1)[0]


def _bmp(data: bytes) -> tuple[int, int]:
    if struct.unpack_from("<I", data, 14)[0] == 12:  # OS/2
        return struct.unpack_from("<HH", data, 18)
    width, height = struct.unpack_from("<ii", data, 18)
    return abs(width), abs(height)  # negative: from the top


def _webp(data: bytes) -> tuple[int, int]:
    kind = data[12:16]
    if kind == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    elif kind == b"VP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    else:
        raise ValueError("no picture in it")
    return width, height
