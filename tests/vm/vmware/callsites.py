# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a kernel module reads a port, in its file and in the running guest.

In the file: objdump finds each `in (%dx),%eax`; a plain search for its one byte
(0xED) would find immediates and displacements as well. In the guest: the
kernel lays the executable sections of a module out one after the other, and
struct module holds the address where they begin, at a place that differs
between kernels. So every pointer in it is tried, and the one counts where the
code around all of the sites is that of the file. Relocated operands are left
out of the comparison; what the kernel patches beyond them (calls to the tracer,
jump labels, returns) is why only most of the bytes have to agree.

Left out: sites in .init sections, which are gone after loading.
"""
import re
import struct
import subprocess
import tempfile

IN_OPCODE = 0xed

_SHF_ALLOC_EXEC = 0x2 | 0x4
_SHT_RELA = 4
_MODULE_NAME_OFFSET = 24        # struct module: state, list, name
_MODULE_NAME_LENGTH = 56
_STRUCT_MODULE_SPAN = 2048      # sizeof() is about 900 to 1300 bytes
_WINDOW = 64                    # bytes compared on each side of a site
_AGREEMENT = 0.8


class CallSites:
    """The port reads of one module, given as the bytes of its .ko file."""

    def __init__(self, name, data):
        self.name = name
        self._file = data
        if data[:6] != b"\x7fELF\x02\x01":
            raise ValueError(f"{name}: not an uncompressed 64-bit module")
        self._sections = self._read_sections()
        self._text, self._masked = self._lay_out()
        self.offsets = self._find_sites()
        if not self.offsets:
            raise ValueError(f"{name}: no port is read in this module")

    def _read_sections(self):
        offset, = struct.unpack_from("<Q", self._file, 40)
        size, count, names = struct.unpack_from("<HHH", self._file, 58)
        fields = [struct.unpack_from("<IIQQQQIIQQ", self._file, offset + i * size)
                  for i in range(count)]
        names_at = fields[names][4]
        sections = []
        for name, kind, flags, _, at, length, _, info, align, _ in fields:
            end = self._file.index(b"\0", names_at + name)
            sections.append({"name": self._file[names_at + name:end].decode(), "type": kind,
                             "flags": flags, "offset": at, "size": length, "info": info,
                             "align": max(1, align)})
        return sections

    def _lay_out(self):
        """The module's executable sections as the kernel places them, and which bytes relocation changes."""
        text, masked = bytearray(), set()
        for number, section in enumerate(self._sections):
            section["at"] = None
            if section["flags"] & _SHF_ALLOC_EXEC != _SHF_ALLOC_EXEC or \
               section["name"].startswith(".init"):
                continue
            text += bytes(-len(text) % section["align"])
            section["at"] = len(text)
            text += self._file[section["offset"]:section["offset"] + section["size"]]
            for rela in self._sections:
                if rela["type"] != _SHT_RELA or rela["info"] != number:
                    continue
                for i in range(rela["offset"], rela["offset"] + rela["size"], 24):
                    at = section["at"] + struct.unpack_from("<Q", self._file, i)[0]
                    # With the opcode before the operand: calls become other instructions.
                    masked.update(range(at - 1, at + 4))
        return bytes(text), masked

    def _find_sites(self):
        with tempfile.NamedTemporaryFile(suffix=".ko") as f:
            f.write(self._file)
            f.flush()
            listing = subprocess.run(["objdump", "-d", f.name], check=True, timeout=60,
                                     capture_output=True, text=True).stdout
        sites, section = [], None
        at = {s["name"]: s["at"] for s in self._sections if s["at"] is not None}
        for line in listing.splitlines():
            header = re.match(r"Disassembly of section (\S+):", line)
            if header:
                section = header[1]
            elif section in at and re.search(r"\bin +\(%dx\),%eax", line):
                sites.append(at[section] + int(line.split(":")[0], 16))
        return sites

    def _agrees(self, read, base):
        for site in self.offsets:
            start = max(0, site - _WINDOW)
            expected = self._text[start:site + _WINDOW]
            found = read(base + start, len(expected))
            if found is None or found[site - start] != IN_OPCODE:
                return False
            compared = [i for i in range(len(expected)) if start + i not in self._masked]
            equal = sum(found[i] == expected[i] for i in compared)
            if equal < _AGREEMENT * len(compared):
                return False
        return True

    def locate(self, read, module_address):
        """Guest-virtual addresses of the sites.

        read(address, length) returns memory or None; module_address is that of
        struct module, after relocation. None when the module is not this file.
        """
        data = b""
        while len(data) < _STRUCT_MODULE_SPAN:
            part = read(module_address + len(data), 64)
            if part is None:
                break
            data += part
        tried = set()
        for pointer, in struct.iter_unpack("<Q", data):
            # Module memory is the upper part of the address space, in whole pages.
            if pointer & 0xfff or pointer >> 32 != 0xffffffff or pointer in tried:
                continue
            tried.add(pointer)
            if self._agrees(read, pointer):
                return [pointer + offset for offset in self.offsets]
        return None


def module_name(read, module_address):
    raw = read(module_address + _MODULE_NAME_OFFSET, _MODULE_NAME_LENGTH)
    return raw.split(b"\0")[0].decode(errors="replace") if raw else ""
