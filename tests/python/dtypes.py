"""The names of all dtypes by kind: the one list from which the tests take theirs."""

INTEGERS = ["uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"]
REALS = ["float16", "bfloat16", "float32", "float64"]
COMPLEX = ["complex64", "complex128"]
EVERY = ["bool_", *INTEGERS, *REALS, *COMPLEX]


def real_of(dtype: str) -> str:
    """The dtype of the parts of complex numbers; others are their own."""
    return {"complex64": "float32", "complex128": "float64"}.get(dtype, dtype)


def complex_of(dtype: str) -> str:
    """The complex dtype that promotion with another complex one gives."""
    return "complex128" if real_of(dtype) == "float64" else "complex64"
