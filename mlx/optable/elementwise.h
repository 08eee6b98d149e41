// The element-wise table as values: one op code per row of elementwise.def, and what the row says
// about names and dtypes. Everything that works on element-wise ops in general asks here.
#pragma once

#include <cstdint>

#include "mlx/dtype.h"

namespace mlx::core {

enum class ElementwiseOp : uint8_t {
#define MLX_UNARY(Name, function, rule, flags) Name,
#define MLX_BINARY(Name, function, rule, flags) Name,
#define MLX_TERNARY(Name, function, rule, flags) Name,
#include "mlx/optable/elementwise.def"
};

inline constexpr int elementwise_op_count = 0
#define MLX_UNARY(Name, function, rule, flags) +1
#define MLX_BINARY(Name, function, rule, flags) +1
#define MLX_TERNARY(Name, function, rule, flags) +1
#include "mlx/optable/elementwise.def"
    ;

/** Which input dtypes an op takes and what comes out. "ints" includes bool. */
enum class DtypeRule : uint8_t {
  Same,       // any dtype, result the same
  NoBool,     // any but bool, result the same
  Real,       // any but complex, result the same
  Float,      // ints become float32; result the same
  RealFloat,  // ints become float32; complex is an error; result the same
  Magnitude,  // any dtype; complex64 gives float32, complex128 float64, others themselves
  Predicate,  // any dtype, result bool
  Bits,       // ints only, result the same
  Shift,      // ints only, bool becomes uint8; result the same
  EncodeFP8,  // real floats, computed in float32; result uint8
  DecodeFP8,  // uint8; result float32
  Cast,       // any dtype to any dtype
  Select,     // condition bool, then two of any one dtype; result that dtype
};

enum class OpFlag : uint8_t { Function, Method, Custom };

struct ElementwiseInfo {
  const char* name;      // node name, as `Add`
  const char* function;  // public function, as `add`
  uint8_t arity;
  DtypeRule rule;
  OpFlag flag;
};

const ElementwiseInfo& elementwise_info(ElementwiseOp op);

/** Whether the op has kernels that take inputs of type t (for Select: of the chosen values). */
bool elementwise_accepts(ElementwiseOp op, Dtype t);

/** The dtype to which inputs of the common dtype `t` must be cast first. Throws
 *  std::invalid_argument naming the op and the dtype when the op does not exist for it. */
Dtype elementwise_input_type(ElementwiseOp op, Dtype t);

/** Result dtype for inputs of dtype `in` (one that elementwise_input_type gave). For Cast the
 *  result is not a function of the input: the caller knows it. */
Dtype elementwise_result_type(ElementwiseOp op, Dtype in);

}  // namespace mlx::core
