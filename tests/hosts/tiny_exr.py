"""An EXR's header without pixels: enough for whoever only asks for the display window."""

import struct


def header_only(path, width=64, height=48, left=0, top=0, aspect=1.0):
    """Write the file; gives its path."""

    def attribute(name, kind, value):
        return name.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<i", len(value)) + value

    box = struct.pack("<4i", left, top, left + width - 1, top + height - 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        b"\x76\x2f\x31\x01\x02\0\0\0"
        + attribute("dataWindow", "box2i", box)
        + attribute("displayWindow", "box2i", box)
        + attribute("pixelAspectRatio", "float", struct.pack("<f", aspect))
        + b"\0"
    )
    return path
