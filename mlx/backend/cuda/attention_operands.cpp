// Reading arrays in place where their rows can be read in pieces, copying them otherwise.
#include "mlx/backend/cuda/attention_operands.h"

#include <algorithm>
#include <optional>

#include "mlx/backend/cuda/copy.h"
#include "mlx/backend/cuda/runtime/streams.h"
#include "mlx/core/layout.h"

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

/** Whether the operands are bands of columns, side by side, of one dense matrix with a row for each
 *  position: then where the first of them begins in the buffer. */
std::optional<int64_t> find_bands(const array* const (&operands)[3]) {
  const array& q = *operands[0];
  int64_t pitch = q.strides(2), length = q.shape(2);
  const array* sorted[] = {operands[0], operands[1], operands[2]};
  std::sort(sorted, sorted + 3,
            [](const array* a, const array* b) { return a->offset() < b->offset(); });
  int64_t first = sorted[0]->offset(), next = first;
  for (const array* a : sorted) {
    int64_t columns = a->shape(3);
    bool band = a->data_shared_ptr() == q.data_shared_ptr() && a->offset() == next &&
                a->shape(2) == length && a->strides(3) == 1 && a->strides(1) == columns &&
                a->strides(2) == pitch && a->strides(0) == length * pitch;
    if (!band) return {};
    next += a->shape(1) * columns;
  }
  return next - first == pitch ? std::optional(first) : std::nullopt;
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

LibraryTensor library_rows(const array& a, const void* data) {
  AttentionRows rows;
  for (int i = 0; i < 3; i++) rows.strides[i] = a.strides(i);
  rows.data = data;
  return library_rows(a, rows);
}

void allocate_in_order_of(const array& like, array& out, const Stream& s) {
  int axes[] = {0, 1, 2};
  std::stable_sort(axes, axes + 3, [&](int a, int b) { return like.strides(a) > like.strides(b); });
  bool single = like.shape(1) == 1 || like.shape(2) == 1;
  if (single || like.strides(3) != 1 || out.size() == 0) {
    allocate_output(out, s);
    return;
  }
  Strides strides(4, 1);
  int64_t stride = out.shape(3);
  for (int k = 2; k >= 0; k--) {
    strides[static_cast<size_t>(axes[k])] = stride;
    stride *= out.shape(axes[k]);
  }
  array memory(out.shape(), out.dtype(), nullptr, {});
  allocate_output(memory, s);
  share_view(memory, out, strides);
}

void allocate_gradients(const AttentionInputs& in, std::vector<array>& outputs, const Stream& s) {
  const array* operands[] = {&in.queries, &in.keys, &in.values};
  for (size_t i = 3; i < outputs.size(); i++) allocate_output(outputs[i], s);
  if (auto first = find_bands(operands)) {
    const array& q = in.queries;
    array matrix({q.shape(0), q.shape(2), static_cast<int>(q.strides(2))}, q.dtype(), nullptr, {});
    allocate_output(matrix, s);
    for (size_t i = 0; i < 3; i++) {
      share_view(matrix, outputs[i], operands[i]->strides(), operands[i]->offset() - *first);
    }
    return;
  }
  for (size_t i = 0; i < 3; i++) allocate_in_order_of(*operands[i], outputs[i], s);
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
        cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, s.device.index),
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
