"""Writes a C++ test that holds the library to tests/cpp/surface.json, the C++ names users rely on.

For every listed function, method, constructor and alias the test has an expression that compiles
only if the exact signature is declared. At run time it asks the linker which functions are also
defined: all have to be, except those under "later" in the list, which are still to come. Templates,
operators and what else has no one signature stand there as calls, which have to compile and link:
`{"call": EXPRESSION, "gives": TYPE}`, with `"over": {"T": [...]}` once for each value of `$T`. A
name instead of a list means that list of "groups".

    python tools/make_surface_test.py tests/cpp/surface.json build/test_surface.cpp
"""

from __future__ import annotations

import itertools
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from string import Template

OPEN, CLOSE = "<({[", ">)}]"


@dataclass
class Function:
    """A signature taken apart; `result` is empty for a constructor."""

    result: str
    name: str
    parameters: str
    suffix: str
    static: bool


def split_arguments(text: str) -> list[str]:
    """Splits at commas outside brackets."""
    parts, depth, start = [], 0, 0
    for i, c in enumerate(text):
        depth += (c in OPEN) - (c in CLOSE)
        if c == "," and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    return [p.strip() for p in [*parts, text[start:]] if p.strip()]


def parse(signature: str) -> Function:
    """Takes `Result name(type a, type b = x) const [static]` apart."""
    static = signature.endswith("[static]")
    text = re.sub(r"( = 0)?( \[\w+\])?$", "", signature)
    end = text.rindex(")")
    depth, begin = 0, end
    while True:
        depth += (text[begin] == ")") - (text[begin] == "(")
        if depth == 0:
            break
        begin -= 1
    arguments = [a.split(" = ")[0].strip() for a in split_arguments(text[begin + 1 : end])]
    arguments = [re.sub(r"(\(\*\)\(.*\)) \w+$", r"\1", a) for a in arguments]
    head = re.fullmatch(r"(.*?)\s*(operator\W+|\w+)", text[:begin])
    assert head, signature
    return Function(head[1], head[2], ", ".join(arguments), text[end + 1 :].strip(), static)


def class_checks(entry: dict) -> Iterator[str]:
    """Checks inside a class derived from the one checked, where its nested names are visible."""
    name = entry["class"]
    yield f"struct Check_{name} : {name} {{"
    for base in entry["bases"]:
        yield f"  static_assert(std::is_base_of_v<{base}, {name}>);"
    for i, signature in enumerate(entry["public"]):
        f = parse(signature)
        if not f.result:
            yield f"  template <typename F> struct Made{i};"
            yield f"  template <typename... A> struct Made{i}<void(A...)> {{"
            yield f"    static constexpr bool value = std::is_abstract_v<{name}> ||"
            yield f"      requires(A&&... a) {{ {name}(std::forward<A>(a)...); }};"
            yield "  };"
            yield f"  static_assert(Made{i}<void({f.parameters})>::value);"
        else:
            yield f"  using F{i} = {f.result}({f.parameters}) {f.suffix};"
            pointer = f"F{i}*" if f.static else f"F{i} {name}::*"
            yield f"  using P{i} = decltype(static_cast<{pointer}>(&{name}::{f.name}));"
    yield "};"


def calls(entry: dict, groups: dict[str, list[str]]) -> Iterator[tuple[str, str]]:
    """The expressions that an entry stands for, and their types."""
    over = {k: groups[v] if isinstance(v, str) else v for k, v in entry.get("over", {}).items()}
    for values in itertools.product(*over.values()):
        chosen = dict(zip(over, values, strict=True))
        yield tuple(Template(entry[part]).substitute(chosen) for part in ("call", "gives"))


def call_checks(entry: dict, index: int, groups: dict[str, list[str]]) -> Iterator[str]:
    """Functions that are compiled with all that they call, and never run."""
    for i, (expression, result) in enumerate(calls(entry, groups)):
        yield f"static_assert(std::is_same_v<decltype({expression}), {result}>);"
        yield f"[[gnu::used]] void call_{index}_{i}() {{ (void)({expression}); }}"


def checks(entry: str | dict, index: int, groups: dict[str, list[str]]) -> Iterator[str]:
    """Compile-time checks of one entry, to stand in its namespace."""
    if isinstance(entry, dict) and "call" in entry:
        yield from call_checks(entry, index, groups)
    elif isinstance(entry, dict) and "holds" in entry:
        yield f"static_assert({entry['holds']});"
    elif isinstance(entry, dict) and "fields" in entry:
        for field in entry["types"]:
            kind, name = field.rsplit(" ", 1)
            yield f"static_assert(std::is_same_v<decltype({entry['fields']}::{name}), {kind}>);"
    elif isinstance(entry, dict) and "enum" in entry:
        for value in entry["values"]:
            yield f"static_assert(std::is_enum_v<decltype({entry['enum']}::{value})>);"
    elif isinstance(entry, dict):
        yield from class_checks(entry)
    elif entry.startswith("using "):
        name, meaning = entry.removeprefix("using ").split(" = ", 1)
        yield f"static_assert(std::is_same_v<{name}, {meaning}>);"
    else:
        f = parse(entry)
        yield f"using F{index} = {f.result}({f.parameters});"
        yield f"using P{index} = decltype(static_cast<F{index}*>(&{f.name}));"


def declarations(namespace: str, entries: list) -> Iterator[str]:
    """Redeclares functions as weak: the address of one that is not defined is then null."""
    for i, entry in enumerate(entries):
        if isinstance(entry, str) and not entry.startswith("using "):
            f = parse(entry)
            yield f"namespace {namespace} {{"
            yield f"[[gnu::weak]] {f.result} {f.name}({f.parameters});"
            yield f"static void* volatile address_{i} ="
            yield f"  (void*)static_cast<{f.result}(*)({f.parameters})>(&{f.name});"
            yield "}"
            yield f"static const Entry entry_{namespace.replace('::', '_')}_{i}"
            yield f'  {{R"({namespace}: {entry})", {namespace}::address_{i}}};'


MAIN = """
TEST(Surface, EveryFunctionIsDefinedOrListedAsLater) {
  int defined = 0;
  for (const auto& [name, address] : entries()) {
    const bool later = std::any_of(std::begin(later_list), std::end(later_list),
                                   [&](const char* part) { return name.starts_with(part); });
    defined += address != nullptr;
    EXPECT_TRUE(address || later) << name << " is not defined";
    if (address && later) std::printf("no longer later: %s\\n", name.c_str());
  }
  std::printf("%d of %zu listed functions are defined\\n", defined, entries().size());
}
"""


def render(surface: dict) -> Iterator[str]:
    yield "// Generated by tools/make_surface_test.py from tests/cpp/surface.json."
    for header in surface["headers"]:
        yield f'#include "{header}"'
    yield "#include <gtest/gtest.h>\n#include <algorithm>\n#include <cstdio>\n#include <map>"
    yield "#include <string>\nusing namespace mlx::core;"
    yield "static std::map<std::string, void*>& entries() {"
    yield "  static std::map<std::string, void*> all;\n  return all;\n}"
    yield "// A value that no program has at hand: for calls that are compiled and not run."
    yield "template <typename T> static T& some() {"
    yield "  static T* volatile nowhere = nullptr;\n  return *nowhere;\n}"
    yield "struct Entry { Entry(const char* n, void* a) { entries()[n] = a; } };"
    number = 0
    for namespaces in surface["headers"].values():
        for namespace, entries in namespaces.items():
            yield f"namespace {namespace} {{ namespace {{"
            for entry in entries:
                yield from checks(entry, number := number + 1, surface["groups"])
            yield "} }"
    yield "static const char* const later_list[] = {"
    yield from (f'  R"({part})",' for part in surface["later"])
    yield '  "(none)"};'
    merged: dict[str, list] = {}
    for namespaces in surface["headers"].values():
        for namespace, entries in namespaces.items():
            merged.setdefault(namespace, []).extend(entries)
    for namespace, entries in merged.items():
        yield from declarations(namespace, entries)
    yield MAIN


def main() -> None:
    source, target = map(Path, sys.argv[1:])
    text = "\n".join(render(json.loads(source.read_text()))) + "\n"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)


if __name__ == "__main__":
    main()
