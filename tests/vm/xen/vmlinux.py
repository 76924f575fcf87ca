# SPDX-License-Identifier: GPL-2.0-or-later
"""The plain kernel out of a bzImage.

Xen and its domain builder accept a bzImage, but would unpack it under emulation
at every start (about 2 s each). The boot protocol header says where the payload
is, so nothing has to be searched for; its last four bytes are the size
unpacked, which is the check.

Left out: bzip2, lzma and lzo, which no Debian kernel uses.
"""
import lzma
import struct
import subprocess
import zlib


def vmlinux(bzimage):
    """Returns the ELF kernel in the file @bzimage."""
    with open(bzimage, "rb") as f:
        image = f.read()
    if image[0x202:0x206] != b"HdrS":
        raise ValueError(f"{bzimage} is not a bzImage")
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = ((image[0x1f1] or 4) + 1) * 512 + offset
    payload = image[start:start + length]
    packed, size = payload[:-4], struct.unpack("<I", payload[-4:])[0]
    if packed.startswith(b"\xfd7zXZ"):
        kernel = lzma.decompress(packed)
    elif packed.startswith(b"\x1f\x8b"):
        kernel = zlib.decompressobj(31).decompress(packed)
    elif packed.startswith(b"\x02\x21\x4c\x18"):
        kernel = _filter(["lz4", "-dc"], packed)
    elif packed.startswith(b"\x28\xb5\x2f\xfd"):
        kernel = _filter(["zstd", "-dcq"], packed)
    else:
        raise ValueError(f"{bzimage}: unknown compression {packed[:4].hex()}")
    if not kernel.startswith(b"\x7fELF") or len(kernel) != size:
        raise ValueError(f"{bzimage}: the payload is no kernel ({len(kernel)} of {size} bytes)")
    return kernel


def _filter(argv, data):
    return subprocess.run(argv, input=data, stdout=subprocess.PIPE, check=True, timeout=120).stdout
