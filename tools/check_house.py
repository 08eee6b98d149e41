"""Checks the project's own rules that no standard tool knows.

File sizes, a header comment in every file, Python functions of bearable length, includes that only
go down the folders' order, kernels that leak no code for a newer instruction set into the rest of
the library, no static objects that end before threads do, and links of the documents that resolve.
Prints one line per finding; exit status 1 if there is any.
"""

from __future__ import annotations

import argparse
import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CODE = {".cpp", ".h", ".py", ".cmake", ".cu", ".cuh", ".sh"}
MAX_LINES = 600
MAX_FUNCTION_LINES = 80

# What files of a folder may include besides their own folder. "mlx" stands for the public headers,
# whose functions everything from the core up may call: derivative rules are written with them. The
# contract of backends, mlx/backend/backend.h, belongs to the core that evaluates through it.
INCLUDES = {
    "mlx/types": set(),
    "mlx/kernels": {"mlx/types"},
    "mlx": {"mlx/types", "mlx/distributed"},
    "mlx/distributed": {"mlx", "mlx/core"},
    "mlx/optable": {"mlx"},
    "mlx/core": {"mlx", "mlx/optable"},
    "mlx/primitives": {"mlx", "mlx/distributed", "mlx/optable", "mlx/core"},
    "mlx/ops": {
        "mlx",
        "mlx/distributed",
        "mlx/kernels",
        "mlx/optable",
        "mlx/core",
        "mlx/primitives",
    },
    "mlx/graph": {"mlx", "mlx/optable", "mlx/core", "mlx/primitives"},
    "mlx/transforms": {"mlx", "mlx/optable", "mlx/core", "mlx/primitives", "mlx/graph"},
    "mlx/profiler": {"mlx", "mlx/optable", "mlx/core", "mlx/primitives"},
    "mlx/debug": {"mlx", "mlx/optable", "mlx/core", "mlx/primitives", "mlx/graph"},
    "mlx/backend/common": {"mlx", "mlx/optable", "mlx/core", "mlx/primitives"},
    "mlx/io": {"mlx", "mlx/core", "mlx/primitives"},
    "mlx/export": {
        "mlx",
        "mlx/optable",
        "mlx/core",
        "mlx/primitives",
        "mlx/graph",
        "mlx/transforms",
        "mlx/io",
    },
    "python/src": {
        "mlx",
        "mlx/distributed",
        "mlx/optable",
        "mlx/core",
        "mlx/ops",
        "mlx/transforms",
        "mlx/profiler",
        "mlx/io",
        "mlx/export",
    },
}
for device in ("cpu", "cuda"):
    INCLUDES[f"mlx/backend/{device}"] = INCLUDES["mlx/backend/common"] | {
        "mlx/backend/common",
        "mlx/kernels",
        "mlx/types",
    }


# What programs ask of devices, by the names of MLX's backends: public headers in these folders.
PUBLIC = {
    f"mlx/backend/{name}"
    for name in ("cpu/device_info.h", "gpu/device_info.h", "cuda/cuda.h", "metal/metal.h")
}


def tracked_files() -> list[Path]:
    """Every file that git tracks and that exists."""
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    return [p for p in (ROOT / name for name in listing.split("\0") if name) if p.is_file()]


def check_size(path: Path, text: str) -> Iterator[str]:
    lines = text.count("\n")
    name = path.relative_to(ROOT)
    if path.suffix not in CODE or name.parts[0] == "tests":
        return
    if lines > MAX_LINES:
        yield f"{lines} lines, the limit is {MAX_LINES}: split it by what it is about"


def check_header(path: Path, text: str) -> Iterator[str]:
    """A file says why it exists in its first lines; empty files have nothing to explain."""
    body = text.lstrip()
    if path.suffix not in CODE | {".def"} or not body:
        return
    if not body.startswith(("//", "#", '"""', 'r"""', "/*")) or body.startswith("#pragma"):
        yield "does not start with a comment that says why it exists"


def check_functions(path: Path, text: str) -> Iterator[str]:
    if path.suffix != ".py":
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > MAX_FUNCTION_LINES:
                yield f"function {node.name} has {lines} lines, the limit is {MAX_FUNCTION_LINES}"


def folder_of(path: str) -> str | None:
    """The folder of INCLUDES that a file belongs to."""
    if path in PUBLIC:
        return "mlx"
    if path.startswith("mlx/backend/") and path.count("/") == 2:
        return "mlx/core"
    folders = [f for f in INCLUDES if path.startswith(f + "/")]
    folder = max(folders, key=len, default=None)
    return None if folder == "mlx" and path.count("/") > 1 else folder


def check_direction(path: Path, text: str) -> Iterator[str]:
    name = path.relative_to(ROOT).as_posix()
    folder = folder_of(name)
    if path.suffix not in {".h", ".cpp", ".def"} or not name.startswith(("mlx/", "python/src/")):
        return
    if folder is None:
        yield "lies in a folder without a place in INCLUDES of tools/check_house.py"
        return
    for included in re.findall(r'#include "(mlx/[^"]+)"', text):
        target = folder_of(included)
        if target != folder and target not in INCLUDES[folder]:
            yield f"includes {included}, which {folder} may not"


def headings(text: str) -> set[str]:
    """The anchors that a Markdown file offers, in GitHub's spelling."""
    titles = re.findall(r"^#+\s+(.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", t.strip().lower()).replace(" ", "-") for t in titles}


def check_links(path: Path, text: str) -> Iterator[str]:
    """Relative links lead to files that exist, `#L12` to lines, `#name` to headings.

    A link whose text is a `code` name must find that name in the file it leads to.
    """
    if path.suffix != ".md":
        return
    for label, link in re.findall(r"\[([^\]]*)\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.exists():
            yield f"link to {link}: no such file"
            continue
        if target.is_dir():
            continue
        content = target.read_text(errors="replace")
        line = re.fullmatch(r"L(\d+)(?:-L\d+)?", anchor)
        if line and int(line[1]) > content.count("\n") + 1:
            yield f"link to {link}: the file has no such line"
        elif anchor and not line and target.suffix == ".md" and anchor not in headings(content):
            yield f"link to {link}: no such heading"
        symbol = re.fullmatch(r"`([\w:]+)(?:\(\))?`", label)
        if symbol and "/" not in label and symbol[1].split("::")[-1] not in content:
            yield f"link to {link}: {symbol[1]} does not occur there"


def check_isa_objects(build: Path) -> Iterator[str]:
    """Symbols that a kernel object file shares with others must carry its instruction set's name.

    An inline function of a common header compiled for AVX-512 and emitted as a weak symbol could be
    the copy that the linker keeps for everyone, and would crash older machines.
    """
    for isa in ("v2", "v3", "v4"):
        objects = sorted(build.glob(f"CMakeFiles/isa_{isa}.dir/**/*.o"))
        if not objects:
            continue
        listing = subprocess.run(
            ["nm", "-A", "-C", "--defined-only", "--extern-only", *map(str, objects)],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for line in listing.splitlines():
            location, _, symbol = line.partition(".o:")
            if f"::{isa}::" not in symbol and "DW.ref.__gxx_personality_v0" not in symbol:
                source = location.split(f"isa_{isa}.dir/")[1]
                yield f"{source}: symbol outside namespace {isa}: {symbol[19:]}"


def check_static_objects(build: Path) -> Iterator[str]:
    """No static object of the library has a destructor: threads may be at work when the process
    ends, and what they use has to last. `static auto& x = *new T` does.
    """
    objects = [
        o for t in ("mlx", "isa_v2", "mlx_cuda") for o in build.glob(f"CMakeFiles/{t}.dir/**/*.o")
    ]
    if not objects:
        return
    listing = subprocess.run(
        ["nm", "-A", "--undefined-only", *map(str, objects)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    stream_users = {
        line.split(".o:")[0] for line in listing.splitlines() if "ios_base4InitC1" in line
    }  # <iostream> has a static object in every file that includes it
    for line in listing.splitlines():
        source = line.split(".o:")[0]
        if line.endswith(" __cxa_atexit") and source not in stream_users:
            yield f"{source.split('.dir/')[1]}: a static object with a destructor"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--build", type=Path, default=ROOT / "build", help="build folder")
    options = parser.parse_args()
    findings = []
    for path in tracked_files():
        if path.suffix not in CODE | {".def", ".md"}:
            continue
        text = path.read_text()
        for check in (check_size, check_header, check_functions, check_direction, check_links):
            findings += [f"{path.relative_to(ROOT)}: {m}" for m in check(path, text)]
    findings += check_isa_objects(options.build)
    findings += check_static_objects(options.build)
    print("\n".join(findings) or "house rules: nothing found")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
