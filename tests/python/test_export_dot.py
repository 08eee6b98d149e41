"""Drawing graphs: every primitive and array once, names, paths and file objects."""

import io
import re

import mlx.core as mx
import pytest


def dot(*args, **kwargs) -> str:
    f = io.StringIO()
    mx.export_to_dot(f, *args, **kwargs)
    return f.getvalue()


def test_a_small_graph():
    a, b = mx.array(1.0), mx.array([1.0, 2.0])
    c = a + b
    text = re.sub(r"\d{3,}", lambda m: "N", dot(mx.exp(c) * c))
    assert text.splitlines() == [
        "digraph {",
        '{ rank=source; "A"; }',
        '{ rank=source; "B"; }',
        '{ N [label ="Add", shape=rectangle]; }',
        '"A" -> N',
        '"B" -> N',
        '{ "C"; }',
        'N -> "C"',
        '{ N [label ="Exp", shape=rectangle]; }',
        '"C" -> N',
        '{ "D"; }',
        'N -> "D"',
        '{ N [label ="Multiply", shape=rectangle]; }',
        '"D" -> N',
        '"C" -> N',
        '{ rank=sink; "E"; }',
        'N -> "E"',
        "}",
    ]


def test_names_trees_and_files(tmp_path):
    x = mx.array([1.0, 2.0])
    y = mx.sin(x)
    text = dot([y, {"z": y * 2}], x=x, result=y)
    assert '{ rank=source; "x"; }' in text and '{ rank=sink; "result"; }' in text
    assert text.count("Sin") == 1 and text.count("Multiply") == 1
    mx.export_to_dot(tmp_path / "g.dot", y)
    assert "Sin" in (tmp_path / "g.dot").read_text()
    mx.eval(y)
    assert dot(y) == 'digraph {\n{ rank=source; "A"; }\n}\n'


def test_deep_graphs_and_many_outputs():
    x = mx.array(1.0)
    for _ in range(20_000):
        x = x + 1.0
    assert dot(x).count("label") == 20_000
    parts = mx.linalg.norm(mx.ones((2, 2))), *mx.split(mx.ones((30,)) * 2, 30)
    assert '"AA"' in dot(*parts)


def test_bad_input():
    with pytest.raises((TypeError, ValueError)):
        dot(3)
    with pytest.raises((TypeError, ValueError)):
        dot(x=3)
