// Attention of half types by cuDNN, where it is installed: found at the first use, so that nothing
// depends on it.
#pragma once

#include "mlx/array.h"
#include "mlx/backend/cuda/library_tensor.h"
#include "mlx/stream.h"

namespace mlx::core::cuda {

/** Queries and result are (B, H, L, D) and (B, H, L, E), keys (B, K, S, D), values (B, K, S, E),
 *  columns neighbours, every row at a multiple of 16 bytes. The logarithms of the sums of weights
 *  are (B, H, L, 1) in float32, row-contiguous. */
struct LibraryAttention {
  Dtype dtype;
  float scale;
  bool causal;  // the last query sees all keys
  LibraryTensor q, k, v, result, logsumexp;
};

/** What it takes a cotangent back to. Gradients lie as what they are gradients of, or densely. */
struct LibraryAttentionBackward {
  LibraryAttention forward;
  LibraryTensor cotangent, dq, dk, dv;
};

/** Whether cuDNN may be asked at all: what it cannot do without saying so is left out. */
bool library_takes(const LibraryAttention& attention, const Stream& s);
bool library_takes(const LibraryAttentionBackward& attention, const Stream& s);

/** Queues it; false where cuDNN has no way to do it. Sums of `dq` are in no fixed order. */
bool run_by_library(const LibraryAttention& attention, const Stream& s);
bool run_by_library(const LibraryAttentionBackward& attention, const Stream& s);

}  // namespace mlx::core::cuda
