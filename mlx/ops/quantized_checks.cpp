// The checks that all operations on quantised matrices share.
#include "mlx/ops/quantized_checks.h"

#include <algorithm>
#include <sstream>

#include "mlx/core/errors.h"
#include "mlx/ops.h"
#include "mlx/optable/quantized.h"

namespace mlx::core::detail {

namespace {

std::string listed(std::span<const int> values) {
  std::ostringstream os;
  for (size_t i = 0; i < values.size(); i++) {
    os << (i == 0 ? "" : i + 1 == values.size() ? " or " : ", ") << values[i];
  }
  return os.str();
}

int chosen(const char* op, const char* what, const QuantizationRow& row,
           const QuantizationChoices& choices, std::optional<int> value) {
  if (!value) return choices.standard;
  bool known =
      std::find(choices.values.begin(), choices.values.end(), *value) != choices.values.end();
  if (known) return *value;
  fail(op, "Mode '", row.name, "' needs ", what, " ", listed(choices.values), ", but got ", *value,
       ".");
}

void check_affine_parameters(const char* op, const array& scales,
                             const std::optional<array>& biases) {
  check(biases.has_value(), op, "Mode 'affine' needs biases.");
  check(is_quantizable(scales.dtype()) && is_quantizable(biases->dtype()), op,
        "Scales and biases must be float32, float16 or bfloat16, but have dtypes ", scales.dtype(),
        " and ", biases->dtype(), ".");
  check(scales.shape() == biases->shape(), op,
        "Scales and biases must have the same shape, but have shapes ", scales.shape(), " and ",
        biases->shape(), ".");
}

}  // namespace

QuantizedFormat quantized_format(const char* op, std::optional<int> group_size,
                                 std::optional<int> bits, const std::string& mode) {
  QuantizationMode kind = string_to_quantization_mode(mode, op);
  const QuantizationRow& row = quantization_row(kind);
  int size = chosen(op, "a group size of", row, row.group_sizes, group_size);
  return {kind, chosen(op, "bits to be", row, row.bits, bits), size};
}

bool is_quantizable(Dtype dtype) {
  return dtype == float32 || dtype == float16 || dtype == bfloat16;
}

void check_quantizable(const char* op, const char* what, const array& x) {
  check(is_quantizable(x.dtype()), op, what,
        " must be float32, float16 or bfloat16, but has dtype ", x.dtype(), " and shape ",
        x.shape(), ".");
}

void check_quantized(const char* op, const QuantizedFormat& format, const array& w,
                     const array& scales, const std::optional<array>& biases) {
  const char* mode = quantization_row(format.mode).name;
  check(w.dtype() == uint32, op, "The packed matrix must be uint32, but has dtype ", w.dtype(),
        " and shape ", w.shape(), ".");
  check(w.ndim() >= 1, op, "The packed matrix must have at least one dimension.");
  if (format.has_biases()) {
    check_affine_parameters(op, scales, biases);
  } else {
    check(!biases, op, "Mode '", mode, "' has no biases.");
    check(scales.dtype() == uint8, op, "Scales of mode '", mode, "' must be uint8, but have dtype ",
          scales.dtype(), ".");
  }
  int64_t bits = int64_t{w.shape(-1)} * 32, group_bits = int64_t{format.bits} * format.group_size;
  check(bits % group_bits == 0, op, "The packed matrix with shape ", w.shape(), " has rows of ",
        w.shape(-1), " words, which hold no whole number of groups of ", format.group_size,
        " values of ", format.bits, " bits.");
  Shape fitting = w.shape();
  fitting.back() = static_cast<int>(bits / group_bits);
  check(scales.shape() == fitting, op, "The packed matrix with shape ", w.shape(),
        " needs scales with shape ", fitting, " for groups of ", format.group_size, " values of ",
        format.bits, " bits, but they have shape ", scales.shape(), ".");
}

void check_row(const char* op, const QuantizedFormat& format, const array& w) {
  check(w.ndim() >= 1 && w.shape(-1) % format.group_size == 0, op,
        "The last dimension must be a multiple of the group size ", format.group_size,
        ", but the matrix has shape ", w.shape(), ".");
  check(int64_t{w.shape(-1)} * format.bits % 32 == 0, op, "Rows of ", w.shape(-1), " values of ",
        format.bits, " bits are no whole number of 32-bit words; the matrix has shape ", w.shape(),
        ".");
}

array checked_global_scale(const char* op, const QuantizedFormat& format, const array& scale,
                           const array& matrix, StreamOrDevice s) {
  check(format.mode == QuantizationMode::Nvfp4, op,
        "Only mode 'nvfp4' has a global scale, but the mode is '",
        quantization_row(format.mode).name, "'.");
  check(scale.dtype() == float32, op, "The global scale must be float32, but has dtype ",
        scale.dtype(), ".");
  if (scale.size() == 1) return reshape(scale, {}, s);
  Shape batch(matrix.shape().begin(), matrix.shape().end() - 2);
  check(scale.shape() == batch, op, "The global scale must be a scalar or have the batch shape ",
        batch, " of the matrix, but has shape ", scale.shape(), ".");
  return scale;
}

}  // namespace mlx::core::detail
