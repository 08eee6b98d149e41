"""Files that were changed at random, for every format that is read.

Seeds are files that the library itself wrote. What a seed became is chosen by a number, so that a
failure can be had again. A damaged file raises, or loads as some array; nothing else may happen:
no crash, no other exception, no memory out of proportion to the file.

mutations.py FORMAT COUNT [FIRST]    tries COUNT numbers from FIRST on
mutations.py seeds FOLDER            writes the seeds, for the fuzzers
"""

from __future__ import annotations

import io
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import mlx.core as mx
import numpy as np
import xxhash

FORMATS = ("npy", "npz", "safetensors", "gguf", "mlxfn")
REFUSALS = (RuntimeError, ValueError)
MOST_MEMORY = 64 << 20
NUMBERS = [0, 1, 2, 7, 8, 31, 32, 127, 128, 255, 256, 65535, 65536]
NUMBERS += [2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53, 2**63 - 1, 2**63, 2**64 - 1]
WORDS = [b"{", b"}", b"[", b"]", b"(", b")", b",", b":", b'"', b"'", b"\\u0000", b"\0", b"\xff"]
WORDS += [
    b"-1",
    b"1e9",
    b"18446744073709551615",
    b"null",
    b"true",
    b">f4",
    b"|O",
    b"F8_E4M3",
    b"PK",
]
WORDS += [b"True", b"shape", b"dtype", b"data_offsets", b"__metadata__", b"general.alignment"]


def sample() -> dict[str, mx.array]:
    return {
        "floats": mx.arange(12, dtype=mx.float32).reshape(3, 4),
        "half": mx.ones((2, 3), dtype=mx.bfloat16),
        "none": mx.zeros((0, 5), dtype=mx.int8),
        "one.weight": mx.array(7, dtype=mx.int64),
    }


def gguf_blocks() -> bytes:
    """A file with a tensor of each type that is kept in blocks, of zeros."""
    import struct

    blocks = {2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 10: (256, 84)}
    blocks |= {11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 20: (32, 18)}
    blocks |= {23: (256, 136), 39: (32, 17), 16: (256, 66), 17: (256, 74), 18: (256, 98)}
    blocks |= {19: (256, 50), 21: (256, 110), 22: (256, 82), 29: (256, 56), 34: (256, 54)}
    blocks |= {35: (256, 66), 40: (64, 36)}
    header = struct.pack("<4sIQQ", b"GGUF", 3, len(blocks), 0)
    offset, data = 0, b""
    for kind, (elements, size) in blocks.items():
        name = f"t{kind}.weight".encode()
        header += struct.pack("<Q", len(name)) + name
        header += struct.pack("<IQQIQ", 2, elements, 2, kind, offset)
        data += bytes(-(-2 * size // 32) * 32)
        offset = len(data)
    return header + bytes(-len(header) % 32) + data


HEADER = 48  # of an exported function; the description follows


def sealed(data: bytes) -> bytes:
    """An exported function whose lengths and checksums fit what it holds."""
    if len(data) < HEADER:
        return data
    length = int.from_bytes(data[16:24], "little")
    head = data[:32] + checksum(data[HEADER : HEADER + length])
    return head + checksum(head) + data[HEADER:]


def checksum(data: bytes) -> bytes:
    return xxhash.xxh64_intdigest(data).to_bytes(8, "little")


def branch_and_turns(x: mx.array) -> tuple[mx.array, ...]:
    y = mx.cond(x.sum() > 0, lambda a: mx.exp(a), lambda a: a * 2, x)

    def turn(carry: mx.array, row: mx.array) -> tuple[mx.array, mx.array]:
        more = mx.cond(row.max() > 1, lambda a, b: a + b, lambda a, b: a - b, carry, row)
        return more, carry @ row

    return mx.scan(turn, mx.zeros(x.shape[1:]), y)


def turns(x: mx.array) -> mx.array:
    return mx.while_loop(lambda v: v.sum() < 100, lambda v: mx.abs(v) * 2 + 1, x)


FUNCTIONS = (branch_and_turns, turns, lambda x: mx.softmax(x @ x.T, axis=-1)[1:, :2] * 0.5)
ARGUMENT = [[1.0, -2.0, 3.0], [0.5, 0.25, -1.0]]


def seeds(kind: str) -> list[bytes]:
    """Files of the format, small ones: a change then hits something that matters."""
    arrays = sample()
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/seed.{kind}"

        def written(save, *args, **kwargs) -> bytes:
            save(path, *args, **kwargs)
            return Path(path).read_bytes()

        if kind == "npy":
            columns = arrays["floats"].T
            out = [written(mx.save, a) for a in (*arrays.values(), columns)]
            big = io.BytesIO()
            np.save(big, np.arange(5, dtype=">i4"))
            return [*out, big.getvalue()]
        if kind == "npz":
            return [written(mx.savez, **arrays), written(mx.savez_compressed, **arrays)]
        if kind == "safetensors":
            return [
                written(mx.save_safetensors, arrays, {"format": "mlx", "note": "a"}),
                written(mx.save_safetensors, {"x": arrays["floats"]}),
            ]
        if kind == "mlxfn":
            return [written(mx.export_function, f, mx.array(ARGUMENT)) for f in FUNCTIONS]
        stored = {k: v for k, v in arrays.items() if v.size}
        meta = {"list": mx.arange(3), "names": ["a", "bc"], "general.alignment": mx.array(32)}
        return [written(mx.save_gguf, stored, {**meta, "text": "t"}), gguf_blocks()]


def change(rng: random.Random, data: bytearray) -> None:
    """One change somewhere; the beginning, where headers are, is changed more often."""
    end = len(data) if rng.random() < 0.4 else min(len(data), 200)
    at = rng.randrange(end + 1)
    kind = rng.randrange(8)
    if kind == 0 and data:
        data[min(at, len(data) - 1)] ^= 1 << rng.randrange(8)
    elif kind == 1 and data:
        data[min(at, len(data) - 1)] = rng.randrange(256)
    elif kind == 2:
        size = rng.choice((1, 2, 4, 8))
        number = rng.choice(NUMBERS) + rng.choice((0, 0, -1, 1))
        data[at : at + size] = (number % (1 << 8 * size)).to_bytes(
            size, rng.choice(("little", "big"))
        )
    elif kind == 3:
        del data[at : at + rng.choice((1, 1, 2, 4, 8, len(data)))]
    elif kind == 4:
        word = rng.choice(WORDS)
        data[at : at + rng.choice((0, len(word)))] = word
    elif kind == 5:
        source = rng.randrange(len(data) + 1)
        piece = data[source : source + rng.randrange(1, 40)]
        data[at : at + rng.choice((0, len(piece)))] = piece
    elif kind == 6:
        data[at:at] = str(rng.choice(NUMBERS)).encode()
    else:
        data[at:at] = bytes([rng.choice((0, 32, 255))]) * rng.randrange(1, 20)


def mutated(kind_seeds: list[bytes], number: int) -> bytes:
    rng = random.Random(number)
    data = bytearray(rng.choice(kind_seeds))
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        change(rng, data)
    return sealed(bytes(data)) if data[:1] == b"\x89" and rng.random() < 0.9 else bytes(data)


def arrays_in(loaded: object) -> Iterator[mx.array]:
    if isinstance(loaded, mx.array):
        yield loaded
    elif isinstance(loaded, dict):
        for value in loaded.values():
            yield from arrays_in(value)
    elif isinstance(loaded, tuple | list):
        for value in loaded:
            yield from arrays_in(value)


def read(kind: str, data: bytes, path: Path) -> bool:
    """Whether the file was taken. Raises AssertionError for what must not happen."""
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    try:
        if kind == "mlxfn":
            path.write_bytes(data)
            function = mx.import_function(str(path))
            # Loops may rightly run for ever.
            loaded = () if b"While" in data else function(mx.array(ARGUMENT))
        elif kind == "gguf":
            path.write_bytes(data)
            loaded = mx.load(str(path), return_metadata=True)
        else:
            loaded = mx.load(io.BytesIO(data), format=kind)
        mx.eval(list(arrays_in(loaded)))
        taken = True
    except REFUSALS as error:
        assert kind == "mlxfn" or str(error).startswith("[load"), repr(error)
        taken = False
    assert mx.get_peak_memory() - before <= MOST_MEMORY
    return taken


def try_numbers(kind: str, numbers: range) -> int:
    """Reads the file of each number; returns how many were taken."""
    kind_seeds = seeds(kind)
    taken = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a.{kind}"
        assert all(read(kind, seed, path) for seed in kind_seeds)
        for number in numbers:
            data = mutated(kind_seeds, number)
            try:
                taken += read(kind, data, path)
            except Exception as error:
                raise AssertionError(f"{kind} number {number}: {data!r}") from error
    return taken


def main() -> None:
    if sys.argv[1] == "seeds":
        for kind in FORMATS:
            folder = Path(sys.argv[2]) / kind
            folder.mkdir(parents=True, exist_ok=True)
            for i, seed in enumerate(seeds(kind)):
                (folder / f"seed{i}").write_bytes(seed)
        return
    kind, count = sys.argv[1], int(sys.argv[2])
    first = int(sys.argv[3]) if len(sys.argv) > 3 else time.time_ns() % 10**9
    taken = try_numbers(kind, range(first, first + count))
    print(f"{kind}: {count} files from number {first} on, {taken} taken, the others refused")


if __name__ == "__main__":
    main()
