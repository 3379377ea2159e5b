"""How the kernels are compiled: argument types, and one decorator.

Signatures are fixed, so a kernel is compiled once, at import, and from then on loaded from numba's
cache. Inputs are declared read-only, which also accepts writable arrays: the columns of `risk.book`
are read-only.
"""

from collections.abc import Callable, Collection
from typing import Any, Final

from numba import njit, types

F64: Final = types.float64[::1]
"""A vector that the kernel writes."""

F32: Final = types.float32[::1]
"""A vector of float32."""

F32_TABLE: Final = types.float32[:, ::1]
"""A matrix of float32 in C order."""

I64: Final = types.int64[::1]
"""A vector of integers that the kernel writes."""

F64_TABLE: Final = types.float64[:, ::1]
"""A matrix in C order that the kernel writes."""


def column(scalar: Any) -> Any:
    """Return the type of a vector that the kernel only reads."""
    return types.Array(scalar, 1, "C", readonly=True)


def table(scalar: Any) -> Any:
    """Return the type of a matrix in C order that the kernel only reads."""
    return types.Array(scalar, 2, "C", readonly=True)


REALS: Final = column(types.float64)
INDICES: Final = column(types.int64)
REAL_TABLE: Final = table(types.float64)
BOOK: Final = (INDICES, column(types.int32), REALS)
"""indptr, indices and sizes of a CSR matrix."""


def compiled(
    *inputs: Any, fastmath: Collection[str] = ()
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compile a function of these argument types, which returns nothing, to run without the interpreter lock.

    Machine code is cached beside the source or in the user's cache folder. Where neither can be
    written, as in a locked-down container, it is compiled anew in every process.
    """

    def compile_now(function: Callable[..., Any]) -> Callable[..., Any]:
        options: dict[str, Any] = {"fastmath": set(fastmath), "error_model": "numpy", "nogil": True}
        try:
            kernel: Callable[..., Any] = njit([types.void(*inputs)], cache=True, **options)(function)
        except RuntimeError:  # numba's "no locator available"
            kernel = njit([types.void(*inputs)], **options)(function)
        return kernel

    return compile_now
