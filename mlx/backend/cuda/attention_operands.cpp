// Reading arrays in place where their rows can be read in pieces, copying them otherwise.
#include "mlx/backend/cuda/attention_operands.h"

#include <algorithm>

#include "mlx/backend/cuda/copy.h"
#include "mlx/backend/cuda/runtime/streams.h"

namespace mlx::core::cuda {

namespace {

constexpr int64_t piece = 16;

bool is_readable(const array& a, const void* address) {
  int64_t each = piece / static_cast<int64_t>(a.itemsize());
  bool readable = reinterpret_cast<uint64_t>(address) % piece == 0 && a.shape(3) % each == 0 &&
                  a.strides(3) == 1;
  for (int i = 0; i < 3; i++) {
    readable = readable && (a.shape(i) == 1 || a.strides(i) % each == 0);
  }
  return readable;
}

}  // namespace

AttentionRows attention_rows(const array& a, const void* any, const Stream& s) {
  AttentionRows rows;
  rows.data = any;
  if (a.size() == 0) {
    return rows;
  }
  auto itemsize = static_cast<int64_t>(a.itemsize());
  const void* address = input_address(a, s);
  if (is_readable(a, address)) {
    rows.data = address;
    rows.width = a.shape(3);
    for (int i = 0; i < 3; i++) {
      rows.strides[i] = a.shape(i) == 1 ? 0 : a.strides(i);
    }
    return rows;
  }
  int64_t each = piece / itemsize;
  rows.width = (a.shape(3) + each - 1) / each * each;
  rows.strides[2] = rows.width;
  rows.strides[1] = a.shape(2) * rows.strides[2];
  rows.strides[0] = a.shape(1) * rows.strides[1];
  auto bytes = static_cast<size_t>(a.shape(0) * rows.strides[0] * itemsize);
  rows.copied = std::make_unique<Scratch>(bytes, s);
  rows.data = rows.copied->get();
  if (rows.width != a.shape(3)) {
    clear(rows.copied->get(), bytes, s);
  }
  copy_strided(address, a.strides(), rows.copied->get(),
               {rows.strides[0], rows.strides[1], rows.strides[2], 1}, a.shape(), a.itemsize(), s);
  return rows;
}

void add_mask_strides(int64_t (&strides)[4], const array& mask) {
  for (int i = 0; i < 4; i++) strides[i] = mask.shape(i) == 1 ? 0 : mask.strides(i);
}

LibraryTensor dense_rows(const array& a, const void* data) {
  int64_t b = a.shape(1), c = a.shape(2), d = a.ndim() == 4 ? a.shape(3) : 1;
  return {{a.shape(0), b, c, d}, {b * c * d, c * d, d, 1}, data};
}

LibraryTensor library_rows(const array& a, const AttentionRows& rows) {
  LibraryTensor t = dense_rows(a, rows.data);
  for (size_t i = 3; i-- > 0;) {
    t.strides[i] = t.shape[i] == 1 ? t.shape[i + 1] * t.strides[i + 1] : rows.strides[i];
  }
  return t;
}

AttentionShape attention_shape(const AttentionSpec& spec, const std::vector<array>& inputs) {
  const array &q = inputs[0], &k = inputs[1], &v = inputs[2];
  bool positive = spec.scale > 1e-30f && spec.scale < 1e30f;
  return {q.dtype(),  q.shape(0), q.shape(1), k.shape(1),  q.shape(2),
          k.shape(2), q.shape(3), v.shape(3), spec.causal, spec.has_mask || !positive};
}

AttentionDevice attention_device(const Stream& s) {
  static const int shared_bytes = [&] {
    int bytes = 0;
    check_cuda(
        [&] {
          return cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin,
                                        s.device.index);
        },
        "reading the device's properties");
    return bytes;
  }();
  const DeviceFacts& facts = device_facts(s.device.index);
  return {facts.multiprocessors, facts.major == 9, shared_bytes};
}

bool has_attention_kernels(const std::vector<array>& inputs, const Stream& s) {
  return inputs[0].dtype() != float64 && device_facts(s.device.index).major >= 8 &&
         inputs[1].shape(2) > 0 &&
         std::max(inputs[0].shape(3), inputs[2].shape(3)) <= widest_attention;
}

bool is_large(const AttentionShape& shape) {
  constexpr double least = 4e9;  // products and sums
  double scores = static_cast<double>(shape.batches * shape.query_heads) *
                  static_cast<double>(shape.length * shape.keys);
  return shape.length >= 64 && 2 * scores * static_cast<double>(shape.d + shape.e) >= least;
}

}  // namespace mlx::core::cuda
