#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write a file's bytes as a C array: embed.py INPUT OUTPUT NAME."""

import sys


def main() -> None:
    source, target, name = sys.argv[1:]
    with open(source, "rb") as file:
        data = file.read()
    lines = [
        "\t" + " ".join(f"0x{byte:02x}," for byte in data[at : at + 16])
        for at in range(0, len(data), 16)
    ]
    with open(target, "w", encoding="ascii") as file:
        file.write(f"static const unsigned char {name}[] __attribute__((aligned(8))) = {{\n")
        file.write("\n".join(lines) + "\n};\n")


main()
