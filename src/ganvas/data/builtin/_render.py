"""Renders SVG to PNG for `openmoji.py`, as a process of its own.

resvg holds Python's lock while it renders, so threads alone would use one core. Run by its path, needing
nothing of ganvas. In: the side in pixels and a length, then so many bytes of SVG. Out, for each: a byte (0, or 1 for
a failure), a length, and so many bytes of PNG or of a message.
"""

import struct
import sys

import resvg_py


def main() -> None:
    """Serve until standard input ends, which it does when the parent goes away."""
    while len(head := sys.stdin.buffer.read(8)) == 8:
        side, length = struct.unpack("<II", head)
        try:
            failed = False
            svg = sys.stdin.buffer.read(length).decode()
            answer = resvg_py.svg_to_bytes(svg_string=svg, width=side, height=side, skip_system_fonts=True)
        except Exception as error:
            failed, answer = True, str(error).encode()
        sys.stdout.buffer.write(struct.pack("<?I", failed, len(answer)) + answer)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
