// Products of matrices, plain and quantized, and convolutions. Part of mlx/ops.h, which includes
// it.
#pragma once

#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "mlx/array.h"
#include "mlx/utils.h"

namespace mlx::core {

// ------------ Matrix products

/**
 * The last axis, of n = m * 2^k values with m in 1, 12, 20 and 28, times a Hadamard matrix, times
 * `scale` or 1 / sqrt(n). Half types compute in float32; the error is within n * 2^-23 of the sum
 * of magnitudes before scaling. Throws for other n.
 */
array hadamard_transform(const array& a, std::optional<float> scale = std::nullopt,
                         StreamOrDevice s = {});

// On the CPU, products of up to 32 bits take numbers that are not normal for zero.
array matmul(const array& a, const array& b, StreamOrDevice s = {});

array tensordot(const array& a, const array& b, const int axis = 2, StreamOrDevice s = {});
array tensordot(const array& a, const array& b, const std::vector<int>& axes_a,
                const std::vector<int>& axes_b, StreamOrDevice s = {});

array outer(const array& a, const array& b, StreamOrDevice s = {});

array inner(const array& a, const array& b, StreamOrDevice s = {});

array vecdot(const array& a, const array& b, int axis = -1, StreamOrDevice s = {});

array addmm(array c, array a, array b, const float& alpha = 1.f, const float& beta = 1.f,
            StreamOrDevice s = {});

array block_masked_mm(array a, array b, int block_size,
                      std::optional<array> mask_out = std::nullopt,
                      std::optional<array> mask_lhs = std::nullopt,
                      std::optional<array> mask_rhs = std::nullopt, StreamOrDevice s = {});

array gather_mm(array a, array b, std::optional<array> lhs_indices = std::nullopt,
                std::optional<array> rhs_indices = std::nullopt, bool sorted_indices = false,
                StreamOrDevice s = {});

array segmented_mm(array a, array b, array segments, StreamOrDevice s = {});

// ------------ Convolutions

array conv_general(array input, array weight, std::vector<int> stride = {},
                   std::vector<int> padding_lo = {}, std::vector<int> padding_hi = {},
                   std::vector<int> kernel_dilation = {}, std::vector<int> input_dilation = {},
                   int groups = 1, bool flip = false, StreamOrDevice s = {});
array conv_general(const array& input, const array& weight, std::vector<int> stride = {},
                   std::vector<int> padding = {}, std::vector<int> kernel_dilation = {},
                   std::vector<int> input_dilation = {}, int groups = 1, bool flip = false,
                   StreamOrDevice s = {});

array conv1d(const array& input, const array& weight, int stride = 1, int padding = 0,
             int dilation = 1, int groups = 1, StreamOrDevice s = {});

array conv2d(const array& input, const array& weight, const std::pair<int, int>& stride = {1, 1},
             const std::pair<int, int>& padding = {0, 0},
             const std::pair<int, int>& dilation = {1, 1}, int groups = 1, StreamOrDevice s = {});

array conv3d(const array& input, const array& weight,
             const std::tuple<int, int, int>& stride = {1, 1, 1},
             const std::tuple<int, int, int>& padding = {0, 0, 0},
             const std::tuple<int, int, int>& dilation = {1, 1, 1}, int groups = 1,
             StreamOrDevice s = {});

array conv_transpose1d(const array& input, const array& weight, int stride = 1, int padding = 0,
                       int dilation = 1, int output_padding = 0, int groups = 1,
                       StreamOrDevice s = {});

array conv_transpose2d(const array& input, const array& weight,
                       const std::pair<int, int>& stride = {1, 1},
                       const std::pair<int, int>& padding = {0, 0},
                       const std::pair<int, int>& dilation = {1, 1},
                       const std::pair<int, int>& output_padding = {0, 0}, int groups = 1,
                       StreamOrDevice s = {});

array conv_transpose3d(const array& input, const array& weight,
                       const std::tuple<int, int, int>& stride = {1, 1, 1},
                       const std::tuple<int, int, int>& padding = {0, 0, 0},
                       const std::tuple<int, int, int>& dilation = {1, 1, 1},
                       const std::tuple<int, int, int>& output_padding = {0, 0, 0}, int groups = 1,
                       StreamOrDevice s = {});

// ------------ Quantization
//
// Modes, with their bits and group sizes, stand in mlx/optable/quantized.h. All of these throw
// where arrays, mode, bits and group size do not belong together.

/**
 * x (..., m, k) times a quantized matrix: n rows of k values, or without `transpose` k rows of n.
 * Leading axes broadcast; the dtype is what x, scales and biases promote to. A result that is a
 * normal number of it is within (e + k * 2^-23) * sum |x| (|w| + 2 |bias|) of the one with the
 * values in real arithmetic; e is 2^-22 for float32, 2^-10 for float16 and 2^-7 for bfloat16.
 */
array quantized_matmul(const array& x, const array& w, const array& scales,
                       const std::optional<array>& biases = std::nullopt, bool transpose = true,
                       std::optional<int> group_size = std::nullopt,
                       std::optional<int> bits = std::nullopt, const std::string& mode = "affine",
                       StreamOrDevice s = {});

/**
 * Packed words (..., k * bits / 32) of uint32, scales (..., k / group_size) and in affine mode
 * biases for w (..., k) of float32, float16 or bfloat16. k is a multiple of the group size, and
 * rows are whole words. The global scale of nvfp4 is the largest magnitude in w: one, or one per
 * matrix.
 */
std::vector<array> quantize(const array& w, std::optional<int> group_size = std::nullopt,
                            std::optional<int> bits = std::nullopt,
                            const std::string& mode = "affine",
                            const std::optional<array>& global_scale = std::nullopt,
                            StreamOrDevice s = {});

/**
 * The values that `quantize` packed. In affine mode product and sum are rounded to the dtype of
 * scales and biases; other values are exact but for a global scale. Then they are rounded to
 * `dtype`.
 */
array dequantize(const array& w, const array& scales,
                 const std::optional<array>& biases = std::nullopt,
                 std::optional<int> group_size = std::nullopt,
                 std::optional<int> bits = std::nullopt, const std::string& mode = "affine",
                 const std::optional<array>& global_scale = std::nullopt,
                 std::optional<Dtype> dtype = std::nullopt, StreamOrDevice s = {});

/**
 * x (..., m, k) times the transposed w (..., n, k), both as `quantize` leaves them; with scales w
 * is packed already. Dtype of x. Derivatives pass through the rounding of x and of a w that is not
 * packed.
 */
array qqmm(const array& x, const array& w, const std::optional<array>& w_scales = std::nullopt,
           std::optional<int> group_size = std::nullopt, std::optional<int> bits = std::nullopt,
           const std::string& mode = "nvfp4",
           const std::optional<array>& global_scale_x = std::nullopt,
           const std::optional<array>& global_scale_w = std::nullopt, StreamOrDevice s = {});

array from_fp8(array x, Dtype dtype, StreamOrDevice s = {});

array to_fp8(array x, StreamOrDevice s = {});

/**
 * quantized_matmul of matrices that indices pick from the flattened batches of x and w. A wrong
 * index raises std::out_of_range when the result is evaluated.
 */
array gather_qmm(const array& x, const array& w, const array& scales,
                 const std::optional<array>& biases = std::nullopt,
                 std::optional<array> lhs_indices = std::nullopt,
                 std::optional<array> rhs_indices = std::nullopt, bool transpose = true,
                 std::optional<int> group_size = std::nullopt,
                 std::optional<int> bits = std::nullopt, const std::string& mode = "affine",
                 const std::optional<array>& global_scale = std::nullopt,
                 bool sorted_indices = false, StreamOrDevice s = {});

/** qqmm of matrices that indices pick, as in gather_qmm. */
array gather_qqmm(const array& x, const array& w,
                  const std::optional<array>& scales_w = std::nullopt,
                  const std::optional<array>& lhs_indices = std::nullopt,
                  const std::optional<array>& rhs_indices = std::nullopt,
                  std::optional<int> group_size = std::nullopt,
                  std::optional<int> bits = std::nullopt, const std::string& mode = "nvfp4",
                  const std::optional<array>& global_scale_x = std::nullopt,
                  const std::optional<array>& global_scale_w = std::nullopt,
                  bool sorted_indices = false, StreamOrDevice s = {});

}  // namespace mlx::core
