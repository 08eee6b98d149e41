// Expansion of the element-wise table into names and dtype rules.
#include "mlx/optable/elementwise.h"

#include <stdexcept>
#include <string>

namespace mlx::core {

namespace {

constexpr ElementwiseInfo infos[] = {
#define MLX_UNARY(Name, function, rule, flags) \
  {#Name, #function, 1, DtypeRule::rule, OpFlag::flags},
#define MLX_BINARY(Name, function, rule, flags) \
  {#Name, #function, 2, DtypeRule::rule, OpFlag::flags},
#define MLX_TERNARY(Name, function, rule, flags) \
  {#Name, #function, 3, DtypeRule::rule, OpFlag::flags},
#include "mlx/optable/elementwise.def"
};

bool is_real_float(Dtype t) { return issubdtype(t, floating); }
bool is_int(Dtype t) { return t == bool_ || issubdtype(t, integer); }

}  // namespace

const ElementwiseInfo& elementwise_info(ElementwiseOp op) { return infos[static_cast<int>(op)]; }

bool elementwise_accepts(ElementwiseOp op, Dtype t) {
  switch (elementwise_info(op).rule) {
    case DtypeRule::Same:
    case DtypeRule::Magnitude:
    case DtypeRule::Predicate:
    case DtypeRule::Cast:
    case DtypeRule::Select:
      return true;
    case DtypeRule::NoBool:
      return t != bool_;
    case DtypeRule::Real:
      return !is_complex_dtype(t);
    case DtypeRule::Float:
      return !is_int(t);
    case DtypeRule::RealFloat:
      return is_real_float(t);
    case DtypeRule::Bits:
      return is_int(t);
    case DtypeRule::Shift:
      return is_int(t) && t != bool_;
    case DtypeRule::EncodeFP8:
      return t == float32;
    case DtypeRule::DecodeFP8:
      return t == uint8;
  }
  return false;
}

Dtype elementwise_input_type(ElementwiseOp op, Dtype t) {
  const auto& info = elementwise_info(op);
  Dtype wanted = t;
  switch (info.rule) {
    case DtypeRule::Float:
    case DtypeRule::RealFloat:
      wanted = is_int(t) ? float32 : t;
      break;
    case DtypeRule::Shift:
      wanted = t == bool_ ? uint8 : t;
      break;
    case DtypeRule::EncodeFP8:
      wanted = is_real_float(t) ? float32 : t;
      break;
    default:
      break;
  }
  if (!elementwise_accepts(op, wanted)) {
    throw std::invalid_argument(std::string("[") + info.function + "] not defined for dtype " +
                                dtype_name(t) + ".");
  }
  return wanted;
}

Dtype elementwise_result_type(ElementwiseOp op, Dtype in) {
  switch (elementwise_info(op).rule) {
    case DtypeRule::Magnitude:
      return real_dtype(in);
    case DtypeRule::Predicate:
      return bool_;
    case DtypeRule::EncodeFP8:
      return uint8;
    case DtypeRule::DecodeFP8:
      return float32;
    default:
      return in;
  }
}

}  // namespace mlx::core
