// Arrays as the kernels of attention read them: rows in pieces of 16 bytes, wherever they lie.
#pragma once

#include <memory>

#include "mlx/backend/cuda/attention_plan.h"
#include "mlx/backend/cuda/library_tensor.h"
#include "mlx/backend/cuda/runtime/operand.h"
#include "mlx/primitives/attention.h"

namespace mlx::core::cuda {

/** Queries, keys or values as kernels read them. */
struct AttentionRows {
  const void* data = nullptr;
  int64_t strides[3] = {0, 0, 0};
  int64_t width = 0;  // columns; those beyond the array's are zeros
  std::unique_ptr<Scratch> copied;
};

/** The array itself, or a copy with padded rows. `any` is an address for what has no elements. */
AttentionRows attention_rows(const array& a, const void* any, const Stream& s);

/** Strides of a mask, 0 along what it is the same for. */
void add_mask_strides(int64_t (&strides)[4], const array& mask);

/** What these rows are for a library. */
LibraryTensor library_rows(const array& a, const AttentionRows& rows);

/** The array itself, for a library. */
LibraryTensor library_rows(const array& a, const void* data);

/** Memory for a result with the shape of `like` up to the last axis, which has its axes in the
 * order in which those of `like` lie: what was transposed to get here then goes back as a view. */
void allocate_in_order_of(const array& like, array& out, const Stream& s);

/** Memory for the gradients of queries, keys and values. If these are bands of one matrix, so are
 *  their gradients. */
void allocate_gradients(const AttentionInputs& in, std::vector<array>& outputs, const Stream& s);

/** A dense array of that shape. */
LibraryTensor dense_rows(const array& a, const void* data);

AttentionShape attention_shape(const AttentionSpec& spec, const std::vector<array>& inputs);
AttentionDevice attention_device(const Stream& s);

/** Whether there are kernels for these inputs, forward and backward. */
bool has_attention_kernels(const std::vector<array>& inputs, const Stream& s);

/** Whether an attention is so much work that a plan of a library pays. */
bool is_large(const AttentionShape& shape);

}  // namespace mlx::core::cuda
