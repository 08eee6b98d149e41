"""Where the library departs from the references on purpose, once each, with the reason."""

from __future__ import annotations

# The processor's dot products of bfloat16 take factors below this, which are not normal, for zero.
BFLOAT16_PRODUCTS_FLUSH = 2.0**-126

# Sums down columns have an order of their own where a program in front computes what is summed, so
# that the last bits of whole programs differ: `run.nearly`.

# Derivatives of running log sums go through the logarithms of tangents, which vanish beside values
# of large magnitude: vjp and jvp of whole programs are compared where inputs are below 1e4.
