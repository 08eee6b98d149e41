"""Functions that people know from NumPy and the array-API standard, made of those of `mlx.core`.

They are attributes of `mlx.core`, imported when the first of them is asked for. All of them are
lazy and have derivatives; only results whose shape depends on values read those values.
"""

from mlx.functions.namespace import __array_api_version__, __array_namespace_info__
from mlx.functions.numerical import (
    copysign,
    gradient,
    hypot,
    interp,
    nextafter,
    polyval,
    signbit,
    trapezoid,
)
from mlx.functions.positions import (
    argwhere,
    compress,
    flatnonzero,
    nonzero,
    ravel_multi_index,
    tril_indices,
    triu_indices,
    unravel_index,
)
from mlx.functions.quantiles import (
    nanmedian,
    nanpercentile,
    nanquantile,
    percentile,
    quantile,
)
from mlx.functions.sets import isin, unique_all, unique_counts, unique_inverse, unique_values
from mlx.functions.stacking import (
    append,
    array_split,
    column_stack,
    delete,
    dstack,
    fliplr,
    flipud,
    hstack,
    insert,
    rot90,
    vstack,
)
from mlx.functions.statistics import average, bincount, corrcoef, cov, histogram, ptp
from mlx.functions.without_nan import (
    nanmax,
    nanmean,
    nanmin,
    nanprod,
    nanstd,
    nansum,
    nanvar,
)

__all__ = [
    "__array_api_version__",
    "__array_namespace_info__",
    "append",
    "argwhere",
    "array_split",
    "average",
    "bincount",
    "column_stack",
    "compress",
    "copysign",
    "corrcoef",
    "cov",
    "delete",
    "dstack",
    "flatnonzero",
    "fliplr",
    "flipud",
    "gradient",
    "histogram",
    "hstack",
    "hypot",
    "insert",
    "interp",
    "isin",
    "nanmax",
    "nanmean",
    "nanmedian",
    "nanmin",
    "nanpercentile",
    "nanprod",
    "nanquantile",
    "nanstd",
    "nansum",
    "nanvar",
    "nextafter",
    "nonzero",
    "percentile",
    "polyval",
    "ptp",
    "quantile",
    "ravel_multi_index",
    "rot90",
    "signbit",
    "trapezoid",
    "tril_indices",
    "triu_indices",
    "unique_all",
    "unique_counts",
    "unique_inverse",
    "unique_values",
    "unravel_index",
    "vstack",
]
