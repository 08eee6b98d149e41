"""Where the library departs from the references on purpose, once each, with the reason."""

from __future__ import annotations

# Products and convolutions take numbers below these, which are not normal, for zero. Those of
# float16 are computed in float32, where its numbers are normal; those of double keep them.
PRODUCTS_FLUSH = {"bfloat16": 2.0**-126, "float32": 2.0**-126, "complex64": 2.0**-126}

# Sums down columns have an order of their own where a program in front computes what is summed, so
# that the last bits of whole programs differ: `run.nearly`.

# Derivatives of running log sums go through the logarithms of tangents, which vanish beside values
# of large magnitude: vjp and jvp of whole programs are compared where inputs are below 1e4.
