"""What the array-API standard asks a namespace about itself."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

__array_api_version__ = "2024.12"
bool = mx.bool_

_KINDS = {
    "bool": ["bool_"],
    "signed integer": ["int8", "int16", "int32", "int64"],
    "unsigned integer": ["uint8", "uint16", "uint32", "uint64"],
    "real floating": ["float32", "float64"],
    "complex floating": ["complex64", "complex128"],
}
_UNIONS = {
    "integral": ["signed integer", "unsigned integer"],
    "numeric": ["signed integer", "unsigned integer", "real floating", "complex floating"],
}


class NamespaceInfo:
    """Capabilities, devices and dtypes of `mlx.core`."""

    def capabilities(self) -> dict[str, object]:
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": None}

    def default_device(self) -> Any:
        return mx.default_device()

    def devices(self) -> list[Any]:
        known = [mx.Device(mx.cpu, 0)]
        return [*known, mx.Device(mx.gpu, 0)] if mx.is_available(mx.gpu) else known

    def default_dtypes(self, *, device: object = None) -> dict[str, mx.Dtype]:
        return {
            "real floating": mx.float32,
            "complex floating": mx.complex64,
            "integral": mx.int32,
            "indexing": mx.int32,
        }

    def dtypes(
        self, *, device: object = None, kind: str | tuple[str, ...] | None = None
    ) -> dict[str, mx.Dtype]:
        asked = list(_KINDS) if kind is None else [kind] if isinstance(kind, str) else list(kind)
        kinds = [part for k in asked for part in _UNIONS.get(k, [k])]
        for k in kinds:
            if k not in _KINDS:
                raise ValueError(f"[dtypes] Unknown kind '{k}'.")
        return {
            n.rstrip("_"): getattr(mx, n)
            for k, names in _KINDS.items()
            if k in kinds
            for n in names
        }


def __array_namespace_info__() -> NamespaceInfo:
    """Questions about the namespace, by the array-API standard."""
    return NamespaceInfo()
