// Row kernels of comparisons, logic and classification on real dtypes, and of Select, which only
// moves elements and so goes by their size.
#include "mlx/backend/cpu/elementwise_rows.h"

namespace mlx::core::cpu::MLX_ISA {

namespace {

/** out = c ? a : b for unsigned T of the elements' size. By masks, since g++ makes a branch of the
 *  choice, which costs ten times as much where the condition is random. */
template <typename T>
void select_row(void* out, const void* c, const void* a, const void* b, int64_t n) {
  auto* o = static_cast<T*>(out);
  auto* condition = static_cast<const uint8_t*>(c);
  auto* x = static_cast<const T*>(a);
  auto* y = static_cast<const T*>(b);
  _Pragma("GCC ivdep") for (int64_t i = 0; i < n; ++i) {
    T mask = static_cast<T>(0 - static_cast<T>(condition[i] != 0));
    o[i] = static_cast<T>(y[i] ^ ((x[i] ^ y[i]) & mask));
  }
}

/** The same for 16 bytes, as pairs of words. */
void select_wide_row(void* out, const void* c, const void* a, const void* b, int64_t n) {
  auto* o = static_cast<uint64_t*>(out);
  auto* condition = static_cast<const uint8_t*>(c);
  auto* x = static_cast<const uint64_t*>(a);
  auto* y = static_cast<const uint64_t*>(b);
  _Pragma("GCC ivdep") for (int64_t i = 0; i < 2 * n; ++i) {
    uint64_t mask = 0 - static_cast<uint64_t>(condition[i / 2] != 0);
    o[i] = y[i] ^ ((x[i] ^ y[i]) & mask);
  }
}

template <typename... Ts>
void add_select(RowKernel* row) {
  ((row[value_of<Ts>()] = select_row<
        k::choose_type<sizeof(Ts) == 1, uint8_t,
                       k::choose_type<sizeof(Ts) == 2, uint16_t,
                                      k::choose_type<sizeof(Ts) == 4, uint32_t, uint64_t>>>>),
   ...);
}

struct Predicates {
  template <typename Op, ElementwiseOp code, DtypeRule rule, int arity>
  static void add(RowKernel* row) {
    if constexpr (rule == DtypeRule::Predicate) {
      add_direct<Op, rule, arity, bool, uint8_t, uint16_t, uint32_t, uint64_t, int8_t, int16_t,
                 int32_t, int64_t, float, double>(row);
      add_halves<Op, arity, true>(row);
    }
    if constexpr (rule == DtypeRule::Select) {
      add_select<bool, uint8_t, uint16_t, uint32_t, uint64_t, int8_t, int16_t, int32_t, int64_t,
                 k::Half, k::BFloat, float, double, k::Complex>(row);
      row[value_of<k::WideComplex>()] = select_wide_row;
    }
  }
};

}  // namespace

const ElementwiseKernels& elementwise_predicate() {
  static const ElementwiseKernels table = fill_table<Predicates>();
  return table;
}

}  // namespace mlx::core::cpu::MLX_ISA
