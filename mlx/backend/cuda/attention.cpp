// Fused attention on the GPU: scores stay in registers, keys and values are read in place where
// their rows can be read in pieces of 16 bytes.
#include "mlx/primitives/attention.h"

#include <algorithm>
#include <memory>

#include "mlx/backend/cuda/attention_plan.h"
#include "mlx/backend/cuda/copy.h"
#include "mlx/backend/cuda/jit.h"
#include "mlx/backend/cuda/kernels/attention_call.h"
#include "mlx/backend/cuda/registry.h"
#include "mlx/backend/cuda/runtime/operand.h"
#include "mlx/core/errors.h"

namespace mlx::core::cuda {

namespace {

using kernels::AttentionCall;

constexpr int64_t piece = 16;

/** Queries, keys or values as kernels read them. */
struct Rows {
  const void* data = nullptr;
  int64_t strides[3] = {0, 0, 0};
  int64_t width = 0;  // columns; those beyond the array's are zeros
  std::unique_ptr<Scratch> copied;
};

bool is_readable(const array& a, const void* address) {
  int64_t each = piece / static_cast<int64_t>(a.itemsize());
  bool readable = reinterpret_cast<uint64_t>(address) % piece == 0 && a.shape(3) % each == 0 &&
                  a.strides(3) == 1;
  for (int i = 0; i < 3; i++) {
    readable = readable && (a.shape(i) == 1 || a.strides(i) % each == 0);
  }
  return readable;
}

/** The array itself, or a copy with padded rows. `any` is an address for what has no elements. */
Rows rows_of(const array& a, const void* any, const Stream& s) {
  Rows rows;
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

AttentionDevice device_of(const Stream& s) {
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

AttentionShape shape_of(const AttentionSpec& spec, const std::vector<array>& inputs) {
  const array &q = inputs[0], &k = inputs[1], &v = inputs[2];
  bool positive = spec.scale > 1e-30f && spec.scale < 1e30f;
  return {q.dtype(),  q.shape(0), q.shape(1), k.shape(1),  q.shape(2),
          k.shape(2), q.shape(3), v.shape(3), spec.causal, spec.has_mask || !positive};
}

void add_rows(AttentionCall& call, const Rows& q, const Rows& k, const Rows& v) {
  call.q = q.data;
  call.k = k.data;
  call.v = v.data;
  for (int i = 0; i < 3; i++) {
    call.q_strides[i] = q.strides[i];
    call.k_strides[i] = k.strides[i];
    call.v_strides[i] = v.strides[i];
  }
  call.d = q.width;
  call.value_width = v.width;
}

void add_shape(AttentionCall& call, const AttentionShape& shape, const AttentionPlan& plan) {
  int64_t group = shape.query_heads / shape.key_heads;
  call.batches = shape.batches;
  call.heads = plan.packed ? shape.key_heads : shape.query_heads;
  call.pack = plan.packed ? group : 1;
  call.share = plan.packed ? 1 : group;
  call.length = shape.length;
  call.keys = shape.keys;
  call.e = shape.e;
  call.splits = plan.splits;
  call.split_keys = plan.split_keys;
  call.section = plan.section;
  call.fold = plan.fold;
  call.causal = shape.causal;
}

void add_mask(AttentionCall& call, const array& mask, const Stream& s) {
  call.mask = input_address(mask, s);
  call.bool_mask = mask.dtype() == bool_;
  int64_t each = piece / static_cast<int64_t>(mask.itemsize());
  bool wide = mask.strides(3) == 1 && mask.shape(3) % 16 == 0 &&
              reinterpret_cast<uint64_t>(call.mask) % piece == 0;
  for (int i = 0; i < 4; i++) {
    call.mask_strides[i] = mask.shape(i) == 1 ? 0 : mask.strides(i);
    wide = wide && (i == 3 || call.mask_strides[i] % each == 0);
  }
  call.wide_mask = wide;
}

void start(const AttentionPlan& plan, AttentionCall& call, const Stream& s) {
  void* arguments[] = {&call};
  Kernel kernel = kernel_of(plan.function, "attention", s, [&] { return plan.source(); });
  if (plan.shared_bytes > (48 << 10)) {
    check_cuda(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                    static_cast<int>(plan.shared_bytes)),
               "asking for shared memory");
  }
  dim3 grid(blocks_for(plan.blocks, 1), static_cast<unsigned>(plan.splits));
  launch_words(kernel, grid, static_cast<unsigned>(plan.threads), s, arguments, plan.shared_bytes);
  if (plan.splits > 1) {
    int64_t rows = call.batches * call.heads * call.pack * call.length;
    Kernel merge = kernel_of(plan.merge, "attention", s, [&] { return plan.merge_source(); });
    launch_words(merge, blocks_for(rows, 1), merge_threads, s, arguments);
  }
}

void eval_attention(Attention& primitive, const std::vector<array>& inputs,
                    std::vector<array>& outputs) {
  array& out = outputs[0];
  const Stream& s = primitive.stream();
  const AttentionSpec& spec = primitive.spec();
  const DeviceFacts& facts = device_facts(s.device.index);
  AttentionShape shape = shape_of(spec, inputs);
  check(facts.major >= 8 && std::max(shape.d, shape.e) <= widest_attention, OpScope::current(),
        "The GPU's kernel needs compute capability 8.0 and at most ", widest_attention,
        " columns, not queries of shape ", inputs[0].shape(), " and values of shape ",
        inputs[2].shape(), " on compute capability ", facts.major, ".", facts.minor, ".");
  for (array& each : outputs) allocate_output(each, s);
  if (out.size() == 0) {
    return;
  }
  if (shape.keys == 0) {
    clear(output_address(out), out.nbytes(), s);
    return;
  }
  AttentionPlan plan = plan_attention(shape, device_of(s));
  AttentionCall call{};
  const void* any = output_address(out);
  Rows q = rows_of(inputs[0], any, s), k = rows_of(inputs[1], any, s),
       v = rows_of(inputs[2], any, s);
  add_rows(call, q, k, v);
  add_shape(call, shape, plan);
  call.scale = spec.scale;
  call.out = output_address(out);
  if (spec.has_mask) add_mask(call, inputs[3], s);
  std::unique_ptr<Scratch> parts;
  if (plan.splits > 1) {
    auto rows = static_cast<size_t>(shape.batches * shape.query_heads * shape.length);
    auto splits = static_cast<size_t>(plan.splits), e = static_cast<size_t>(shape.e);
    parts = std::make_unique<Scratch>((splits * (e + 2) + 1) * rows * sizeof(float), s);
    call.parts = parts->get();
  }
  start(plan, call, s);
}

const Register<Attention> attention(eval_attention);

}  // namespace

}  // namespace mlx::core::cuda
