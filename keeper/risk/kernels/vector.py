"""Elementary functions that LLVM can run on whole vectors, and one loop that stays in registers.

This is the unclear-but-fast part; everything else in `risk` reads like its formula. Why it exists: numba
calls libm for exp, log and erfc, one scalar at a time, which costs 40 ns an option. The functions here
are straight-line arithmetic on one float64, without branches, so a loop that calls them becomes vector code.

* `exp_negative`: x = n ln 2 + r, |r| <= ln 2 / 2. Adding and taking away 1.5 * 2**52 rounds x / ln 2 to the
  integer n and leaves n in the low bits of the sum, from where it is moved into the exponent of exp(r).
* `log_positive`: the exponent is cut off so that m lies in sqrt(1/2)..sqrt(2), and
  ln m = 2 artanh(s), s = (m - 1) / (m + 1), an odd series in s.
* `mills_times`: Y(x) = N(-x) / n(x) for x >= 0 falls like 1 / x, so (x + 4) Y(x) is smooth in
  m = (x - 4) / (x + 4), which maps 0..inf to -1..1. The caller divides by x + 4, for two
  arguments at once, because divisions are what limits the pricing kernel.

The coefficients are truncated Chebyshev series on these ranges, written out as powers: degree 10, 6 and
18, with relative errors of 5e-16, 4e-16 and 1.5e-13. N(x) from the last is right to 1e-14 absolute.
`tests/risk/test_kernels.py` checks these numbers against scipy.

Numba's cache does not look behind imports: after a change here, delete `__pycache__/*.nbi` (the tests of
the kernels do so by themselves).

`contract` lets LLVM fuse a * b + c. `reassoc` must stay out: it would cancel the rounding trick.

`row_profit` is written in LLVM's own language because numba cannot promise that an array of sums
stays in registers, and with the sums in memory the scan runs at half the speed.
"""

from typing import Any, Final

import llvmlite.binding
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

# Ten arrays in one loop need 24 overlap checks; above LLVM's limit of 8 it would not vectorise.
llvmlite.binding.set_option("", "-runtime-memory-check-threshold=128")

FAST: Final = {"nnan", "ninf", "nsz", "arcp", "contract"}

_ROUND: Final = 6755399441055744.0
_LOG2_E: Final = 1.4426950408889634
_LN2_HIGH: Final = 0.6931471803691238
_LN2_LOW: Final = 1.9082149292705877e-10
_SQRT_HALF_BITS: Final = 0x3FE6A09E667F3BCD


def _reinterpreted(source: Any, target: Any, element: ir.Type) -> Any:
    """Return an intrinsic that reads the bits of a `source` as a `target`."""

    def lower(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], element)

    @intrinsic
    def reinterpret(_context: Any, _value: Any) -> Any:
        return target(source), lower

    return reinterpret


_bits: Final = _reinterpreted(types.float64, types.int64, ir.IntType(64))
_from_bits: Final = _reinterpreted(types.int64, types.float64, ir.DoubleType())


@njit(inline="always", fastmath={"contract"})
def exp_negative(x: float) -> float:
    """Return exp(x) for x <= 0; below -708 it stays at exp(-708)."""
    x = max(x, -708.0)
    shifted = x * _LOG2_E + _ROUND
    n = shifted - _ROUND
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    p = 2.753972374575338e-07
    p = p * r + 2.7641822654290536e-06
    p = p * r + 2.480171612237442e-05
    p = p * r + 1.9841166486552625e-04
    p = p * r + 1.3888888768697498e-03
    p = p * r + 8.333333388463114e-03
    p = p * r + 4.16666666669707e-02
    p = p * r + 0.16666666666547122
    p = p * r + 0.5000000000000002
    p = p * r + 1.0000000000000073
    p = p * r + 1.0
    scaled: float = _from_bits(_bits(p) + (_bits(shifted) << 52))
    return scaled


@njit(inline="always", fastmath={"contract"})
def log_positive(x: float) -> float:
    """Return ln(x) for normal x > 0."""
    bits = _bits(x)
    exponent = (bits - _SQRT_HALF_BITS) >> 52
    m = _from_bits(bits - (exponent << 52))
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    p = 0.16800275965975262
    p = p * z + 0.1812559930275485
    p = p * z + 0.22223296471353207
    p = p * z + 0.285714185120576
    p = p * z + 0.4000000003998212
    p = p * z + 0.6666666666663454
    p = p * z + 1.9999999999999998
    logarithm: float = exponent * 0.6931471805599453 + s * p
    return logarithm


@njit(inline="always", fastmath=FAST)
def mills_times(m: float) -> float:
    """Return (x + 4) Y(x) with m = (x - 4) / (x + 4), for x >= 0."""
    p = -5.726050585508347e-08
    p = p * m - 2.1568220108747484e-07
    p = p * m + 4.090042202733457e-07
    p = p * m + 2.22038384526968e-06
    p = p * m - 1.2926066410727798e-06
    p = p * m - 1.4474839961621911e-05
    p = p * m + 1.6074615705292673e-06
    p = p * m + 8.786145308113192e-05
    p = p * m - 4.70420935380389e-06
    p = p * m - 5.791787099333306e-04
    p = p * m + 3.342241991276751e-04
    p = p * m + 4.0878350315506394e-03
    p = p * m - 8.72229221948146e-03
    p = p * m - 1.8900448308012983e-02
    p = p * m + 0.1513917620790452
    p = p * m - 0.4675409631418602
    p = p * m + 0.9704095548745345
    p = p * m - 1.523770910817624
    return p * m + 1.893219063308451


def _row_profit(element: ir.Type, result: types.Float, vectors: int, lanes: int, *, fused: bool) -> Any:
    """Return an intrinsic that adds up one account's profit in `vectors * lanes` neighbouring scenarios.

    `row(indices, sizes, profit, stride, begin, end, out)` computes, for every scenario w of the tile,

        out[w] = sum of sizes[p] * profit[indices[p] * stride + w]  over p in begin..end - 1

    and returns their minimum. `profit` and `out` are addresses of `element`s, `stride` is in elements.
    Loads are fastest where `profit` and `stride` are multiples of a cache line. The terms are added
    in the order of p; where not `fused`, with the same roundings as a plain loop over p.
    """
    vector = ir.VectorType(element, lanes)
    int32, int64 = ir.IntType(32), ir.IntType(64)
    undefined = ir.Constant(vector, ir.Undefined)
    zero = ir.Constant(vector, [0.0] * lanes)
    size_of = 8 if isinstance(element, ir.DoubleType) else 4

    def shuffled(builder: Any, value: Any, source: list[int]) -> Any:
        return builder.shuffle_vector(value, undefined, ir.Constant(ir.VectorType(int32, lanes), source))

    def smaller(builder: Any, x: Any, y: Any) -> Any:
        return builder.select(builder.fcmp_ordered("<", x, y), x, y)

    def multiply_add(builder: Any, x: Any, y: Any, total: Any) -> Any:
        if not fused:
            return builder.fadd(total, builder.fmul(x, y))
        kind = ir.FunctionType(vector, [vector] * 3)
        name = f"llvm.fma.v{lanes}f{8 * size_of}"
        fma = cgutils.get_or_insert_function(builder.module, kind, name)  # type: ignore[no-untyped-call]
        return builder.call(fma, [x, y, total])

    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        indices = context.make_array(signature.args[0])(context, builder, args[0]).data
        sizes = context.make_array(signature.args[1])(context, builder, args[1]).data
        profit = builder.inttoptr(args[2], element.as_pointer())
        stride, begin, end = args[3:6]
        out = builder.inttoptr(args[6], element.as_pointer())

        entry = builder.block
        loop, done = builder.append_basic_block("row"), builder.append_basic_block("row.done")
        builder.cbranch(builder.icmp_signed("<", begin, end), loop, done)

        builder.position_at_end(loop)
        p = builder.phi(int64)
        p.add_incoming(begin, entry)
        totals = [builder.phi(vector) for _ in range(vectors)]
        size = builder.load(builder.gep(sizes, [p]))
        if isinstance(element, ir.FloatType):
            size = builder.fptrunc(size, element)
        size = shuffled(builder, builder.insert_element(undefined, size, int32(0)), [0] * lanes)
        row = builder.mul(builder.sext(builder.load(builder.gep(indices, [p])), int64), stride)
        sums = []
        for k, total in enumerate(totals):
            address = builder.gep(profit, [builder.add(row, int64(k * lanes))])
            value = builder.load(builder.bitcast(address, vector.as_pointer()))
            value.align = size_of
            sums.append(multiply_add(builder, size, value, total))
            total.add_incoming(zero, entry)
            total.add_incoming(sums[-1], loop)
        following = builder.add(p, int64(1))
        p.add_incoming(following, loop)
        builder.cbranch(builder.icmp_signed("<", following, end), loop, done)

        builder.position_at_end(done)
        finals = []
        for last in sums:
            final = builder.phi(vector)
            final.add_incoming(zero, entry)
            final.add_incoming(last, loop)
            finals.append(final)
        for k, final in enumerate(finals):
            address = builder.bitcast(builder.gep(out, [int64(k * lanes)]), vector.as_pointer())
            builder.store(final, address).align = size_of
        least = finals[0]
        for final in finals[1:]:
            least = smaller(builder, least, final)
        distance = lanes // 2
        while distance:
            turned = shuffled(builder, least, [(i + distance) % lanes for i in range(lanes)])
            least = smaller(builder, least, turned)
            distance //= 2
        return builder.extract_element(least, int32(0))

    @intrinsic
    def row(
        _context: Any, indices: Any, sizes: Any, profit: Any, stride: Any, begin: Any, end: Any, out: Any
    ) -> Any:
        return result(indices, sizes, *[types.intp] * 5), lower

    return row


TILE: Final = 64
"""Scenarios that one pass keeps in registers: four AVX-512 vectors of float32, eight of float64."""

row_profit32 = _row_profit(ir.FloatType(), types.float32, TILE // 16, 16, fused=True)
row_profit64 = _row_profit(ir.DoubleType(), types.float64, TILE // 8, 8, fused=False)


def _sole_at_most() -> Any:
    """Return an intrinsic that tells which of the first `filled` float32 at an address is low enough alone.

    `sole_at_most(lanes, limit, filled)` returns the index of the only one that is at most `limit`; -1 for
    several. It reads all TILE of them as one vector, whose comparisons are the bits of an integer.
    """

    def lower(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        int32, bits = ir.IntType(32), ir.IntType(TILE)
        vector = ir.VectorType(ir.FloatType(), TILE)
        undefined = ir.Constant(vector, ir.Undefined)
        values = builder.load(builder.inttoptr(args[0], vector.as_pointer()))
        values.align = 4
        first = builder.insert_element(undefined, args[1], int32(0))
        limit = builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(int32, TILE), [0] * TILE))
        near = builder.bitcast(builder.fcmp_ordered("<=", values, limit), bits)
        near = builder.and_(near, builder.lshr(bits(-1), builder.sub(bits(TILE), args[2])))
        others = builder.and_(near, builder.sub(near, bits(1)))
        place = builder.cttz(near, ir.IntType(1)(0))
        return builder.select(builder.icmp_unsigned("==", others, bits(0)), place, bits(-1))

    @intrinsic
    def sole(_context: Any, _lanes: Any, _limit: Any, _filled: Any) -> Any:
        return types.int64(types.intp, types.float32, types.int64), lower

    return sole


def _prefetch() -> Any:
    """Return an intrinsic that asks for the cache line at an address, and does not wait for it."""

    def lower(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        int32, pointer = ir.IntType(32), ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [pointer, int32, int32, int32])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")  # type: ignore[no-untyped-call]
        to_read, to_keep, data = int32(0), int32(3), int32(1)
        builder.call(function, [builder.inttoptr(args[0], pointer), to_read, to_keep, data])
        return context.get_dummy_value()

    @intrinsic
    def ask(_context: Any, _address: Any) -> Any:
        return types.void(types.intp), lower

    return ask


sole_at_most = _sole_at_most()
prefetch = _prefetch()
