#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Check the manual pages against the public headers and against the compiler.

- Every public function has a page of section 3, and every such page a function.
- A page of section 3 or 7 has all its sections; its SYNOPSIS is the header's prototype, its
  ERRORS have every errno of the docstring; the pages that it refers to exist.
- The program in its EXAMPLE section compiles, and with --library links, and with --run ends
  with status 0 (pages of section 3 only; status 2, a usage message, is not counted).
- scdoc accepts the page, man-db or mandoc renders it without a warning, and the rendered
  program is the one that was compiled.

One line per failure on standard output; exit status 1 when there is one.
"""
import argparse
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

SECTIONS = ["NAME", "SYNOPSIS", "DESCRIPTION", "RETURN VALUE", "ERRORS", "EXAMPLE", "SEE ALSO"]
CFLAGS = ["-std=gnu17", "-Wall", "-Wextra", "-Wwrite-strings", "-Wshadow", "-Werror"]
RUN_SECONDS_MAX = 20
SAL = re.compile(r"\b_(?:In|Out|Inout|Deref)\w*_(?:\([^()]*\))?\s*")
DECLARATION = re.compile(r"^extern ([^;{\"]*?\b(demi_\w+)\s*\([^;]*\));", re.M)
ERRNO = re.compile(r"\bE[A-Z]{3,}\d*\b")

failures = 0


def fail(where, what):
    global failures
    failures += 1
    print(f"{where}: {what}")


def squeeze(text):
    """Without any white space: two texts that differ only in it become equal."""
    return re.sub(r"\s+", "", text)


def parse_headers(include):
    """Function name -> (header, prototype without annotations, docstring)."""
    functions = {}
    for header in sorted(include.glob("demi/*.h")):
        text = header.read_text()
        docs = [(m.end(), m.group()) for m in re.finditer(r"/\*\*(?!<).*?\*/", text, re.S)]
        # Comments become blanks of the same length, so that positions stay true.
        code = re.sub(r"/\*.*?\*/", lambda m: re.sub(r"[^\n]", " ", m.group()), text, flags=re.S)
        for m in DECLARATION.finditer(code):
            before = [doc for end, doc in docs if end <= m.start()]
            prototype = " ".join(SAL.sub("", m.group(1)).split())
            functions[m.group(2)] = (f"demi/{header.name}", prototype,
                                     before[-1] if before else "")
    return functions


def split_sections(text):
    """Heading -> body. What looks like a heading inside a literal block is not one."""
    sections, heading, literal = {}, None, False
    for line in text.splitlines():
        if line.startswith("```"):
            literal = not literal
        if line.startswith("# ") and not literal:
            heading = line[2:].strip()
            sections[heading] = ""
        elif heading:
            sections[heading] += line + "\n"
    return sections


def literal_blocks(body):
    """The literal blocks of a section, with scdoc's escapes undone."""
    return [re.sub(r"\\(.)", r"\1", m.group(1))
            for m in re.finditer(r"^```\n(.*?)^```$", body, re.S | re.M)]


def check_text(page, text, sections, functions):
    name, section = page.name.split(".")[0], page.name.split(".")[-2]
    for heading in SECTIONS:
        if not sections.get(heading, "").strip():
            fail(page.name, f"section {heading} is missing or empty")
    if not sections.get("NAME", "").strip().startswith(name + " - "):
        fail(page.name, f"NAME does not begin with '{name} - '")
    if section != "3" or not all(heading in sections for heading in SECTIONS):
        return
    if name not in functions:
        fail(page.name, "no public header declares this function")
        return
    header, prototype, doc = functions[name]
    synopsis = "".join(literal_blocks(sections["SYNOPSIS"]))
    if f"#include <{header}>" not in synopsis:
        fail(page.name, f"SYNOPSIS does not include <{header}>")
    if squeeze(prototype + ";") not in squeeze(synopsis):
        fail(page.name, f"SYNOPSIS differs from the header: {prototype};")
    about, _, returned = doc.partition("Return:")
    for errno in sorted(set(ERRNO.findall(returned)) - set(ERRNO.findall(sections["ERRORS"]))):
        fail(page.name, f"ERRORS lacks {errno} of the header")
    for errno in sorted(set(ERRNO.findall(about)) - set(ERRNO.findall(text))):
        fail(page.name, f"lacks {errno} of the header")


def check_references(page, text, pages):
    for name, section in sorted(set(re.findall(r"\*(demi[\w.]*)\*\((\d)\)", text))):
        if f"{name}.{section}" not in pages:
            fail(page.name, f"refers to {name}({section}), which does not exist")


def run(command, **kwargs):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          errors="replace", check=False, **kwargs)


def check_render(page, text, example, have_man_db):
    roff = run(["scdoc"], input=text)
    if roff.returncode != 0:
        fail(page.name, f"scdoc: {roff.stderr.strip()}")
        return
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MAN", "LC_", "LANG"))}
    env.update(LC_ALL="C", MANWIDTH="120")
    if have_man_db:
        shown = run(["man", "--warnings", "-l", "-"], input=roff.stdout, env=env)
    elif shutil.which("mandoc"):
        shown = run(["mandoc", "-T", "ascii", "-W", "error"], input=roff.stdout, env=env)
    else:
        return
    for line in shown.stderr.splitlines():
        fail(page.name, f"rendering: {line}")
    if shown.returncode != 0 and not shown.stderr:
        fail(page.name, f"rendering: exit status {shown.returncode}")
    plain = re.sub(r".\x08", "", shown.stdout)
    if example is not None and squeeze(example) not in squeeze(plain):
        fail(page.name, "the rendered example is not the program that was compiled")


def check_escapes(page, text):
    """scdoc drops a single backslash of a literal block without a word."""
    for block in re.findall(r"^```\n(.*?)^```$", text, re.S | re.M):
        if re.search(r"\\[^\\]", block.replace("\\\\", "")):
            fail(page.name, "a backslash in a literal block is not doubled")


def check_example(page, example, args, output):
    stem = page.name[:-len(".scd")]
    source, program = output / f"{stem}.c", output / stem
    source.write_text(example)
    command = shlex.split(args.cc) + CFLAGS + shlex.split(args.cflags)
    command += ["-I", str(args.include), str(source)]
    if args.library:
        library = args.library.resolve()
        command += ["-o", str(program), str(library), f"-Wl,-rpath,{library.parent}"]
    else:
        command += ["-fsyntax-only"]
    built = run(command)
    if built.returncode != 0:
        lines = built.stderr.strip().splitlines() or ["no message"]
        first = next((line for line in lines if "error" in line or "undefined" in line), lines[0])
        fail(page.name, f"example: {first}")
        return
    if not args.run or not stem.endswith(".3"):
        return
    try:
        ran = run([str(program)], cwd=output, timeout=RUN_SECONDS_MAX, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        fail(page.name, f"example: still running after {RUN_SECONDS_MAX} s")
        return
    if ran.returncode not in (0, 2):
        last = (ran.stderr.strip().splitlines() or ["no message"])[-1]
        fail(page.name, f"example: exit status {ran.returncode}: {last}")


def check_page(page, functions, pages, args, output, have_man_db):
    text = page.read_text()
    sections = split_sections(text)
    example = None
    check_references(page, text, pages)
    check_escapes(page, text)
    # demi-shim(7) is about programs, which have no code of ours.
    if page.name.split(".")[-2] in ("3", "7") and page.name != "demi-shim.7.scd":
        check_text(page, text, sections, functions)
        blocks = literal_blocks(sections.get("EXAMPLE", ""))
        if len(blocks) != 1:
            fail(page.name, f"EXAMPLE has {len(blocks)} programs, not one")
        else:
            example = blocks[0]
            check_example(page, example, args, output)
    if shutil.which("scdoc"):
        check_render(page, text, example, have_man_db)


def main():
    parser = argparse.ArgumentParser(description="check the manual pages and their examples")
    path = pathlib.Path
    parser.add_argument("--man", type=path, default=path("man"), help="folder of the pages")
    parser.add_argument("--include", type=path, default=path("include"), help="public headers")
    parser.add_argument("--cc", default="cc", help="the compiler's command")
    parser.add_argument("--cflags", default="", help="more options for it")
    parser.add_argument("--library", type=path, help="link the examples with this library")
    parser.add_argument("--output", type=path, help="where to leave the programs")
    parser.add_argument("--run", action="store_true", help="run the examples of section 3")
    args = parser.parse_args()
    if args.run and not args.library:
        parser.error("--run needs --library")

    functions = parse_headers(args.include)
    files = sorted(args.man.glob("*.scd"))
    pages = {file.name[:-len(".scd")] for file in files}
    listed = args.man / "meson.build"
    listed = listed.read_text() if listed.exists() else ""
    if not functions:
        fail(args.include, "no public function found")
    for name in sorted(functions):
        if f"{name}.3" not in pages:
            fail(functions[name][0], f"{name} has no manual page")
    for page in sorted(pages):
        if f"'{page}'" not in listed:
            fail("meson.build", f"{page} is not listed, so not installed")

    man = run(["man", "--version"]).stdout if shutil.which("man") else ""
    have_man_db = man.startswith("man 2.")
    with tempfile.TemporaryDirectory() as scratch:
        output = args.output or path(scratch)
        output.mkdir(parents=True, exist_ok=True)
        for file in files:
            check_page(file, functions, pages, args, output.resolve(), have_man_db)

    if not shutil.which("scdoc"):
        print("not checked: rendering (scdoc is missing)")
    elif not have_man_db and not shutil.which("mandoc"):
        print("not checked: warnings of the renderer (man and mandoc are missing)")
    print(f"{len(files)} pages, {len(functions)} functions, {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
