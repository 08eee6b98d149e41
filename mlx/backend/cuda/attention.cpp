// Fused attention on the GPU: scores stay in registers, keys and values are read in place where
// their rows can be read in pieces of 16 bytes.
#include "mlx/primitives/attention.h"

#include <map>
#include <mutex>
#include <optional>

#include "mlx/backend/cuda/attention_library.h"
#include "mlx/backend/cuda/attention_operands.h"
#include "mlx/backend/cuda/copy.h"
#include "mlx/backend/cuda/jit.h"
#include "mlx/backend/cuda/kernels/attention_call.h"
#include "mlx/backend/cuda/registry.h"

namespace mlx::core::cuda {

namespace {

using kernels::AttentionCall;

void add_rows(AttentionCall& call, const AttentionRows& q, const AttentionRows& k,
              const AttentionRows& v) {
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
  add_mask_strides(call.mask_strides, mask);
  int64_t piece = 16, each = piece / static_cast<int64_t>(mask.itemsize());
  bool wide = mask.strides(3) == 1 && mask.shape(3) % 16 == 0 &&
              reinterpret_cast<uint64_t>(call.mask) % piece == 0;
  for (int i = 0; i < 3; i++) wide = wide && call.mask_strides[i] % each == 0;
  call.wide_mask = wide;
}

/** A plan with its kernels. */
struct Prepared {
  AttentionShape shape;
  AttentionPlan plan;
  Kernel kernel, merge;  // merge: if another kernel brings the parts of split keys together
};

Prepared prepare(const AttentionShape& shape, const Stream& s) {
  Prepared made{shape, plan_attention(shape, attention_device(s)), nullptr, nullptr};
  const AttentionPlan& plan = made.plan;
  made.kernel = kernel_of(plan.function, "attention", s, [&] { return plan.source(); });
  ask_for_shared(made.kernel, plan.shared_bytes);
  if (!plan.merge.empty()) {
    made.merge = kernel_of(plan.merge, "attention", s, [&] { return plan.merge_source(); });
  }
  return made;
}

/** Zeros for the blocks of an attention on the stream; each kernel leaves them so. */
uint32_t* finished_counters(const Stream& s) {
  static auto* mutex = new std::mutex;
  static auto* all = new std::map<Stream, void*>;
  std::lock_guard lock(*mutex);
  void*& counters = (*all)[s];
  if (!counters) {
    constexpr size_t bytes = most_merging_blocks * sizeof(uint32_t);
    use_device(s.device.index);
    void* made = nullptr;
    check_cuda(cudaMalloc(&made, bytes), "allocating counters");
    clear(made, bytes, s);
    counters = made;
  }
  return static_cast<uint32_t*>(counters);
}

/** The layers of a model ask for one shape after another: the last one is kept. */
const Prepared& prepared_for(const AttentionShape& shape, const Stream& s) {
  thread_local std::optional<Prepared> last;
  if (!last || !(last->shape == shape)) {
    last = prepare(shape, s);
  }
  return *last;
}

void start(const Prepared& prepared, AttentionCall& call, const Stream& s) {
  const AttentionPlan& plan = prepared.plan;
  dim3 grid(blocks_for(plan.blocks, 1), static_cast<unsigned>(plan.splits));
  launch(prepared.kernel, grid, static_cast<unsigned>(plan.threads), s, call, plan.shared_bytes);
  if (prepared.merge) {
    int64_t rows = call.batches * call.heads * call.pack * call.length;
    launch(prepared.merge, blocks_for(rows, 1), merge_threads, s, call);
  }
}

/** By cuDNN, if there is enough to do and it can. */
bool run_by_library(const AttentionShape& shape, const AttentionSpec& spec,
                    const AttentionInputs& in, const AttentionRows (&rows)[3],
                    std::vector<array>& outputs, const Stream& s) {
  if (shape.dtype == float32 || in.mask || in.sinks || !is_large(shape)) {
    return false;
  }
  LibraryAttention attention{shape.dtype,
                             spec.scale,
                             spec.causal,
                             library_rows(in.queries, rows[0]),
                             library_rows(in.keys, rows[1]),
                             library_rows(in.values, rows[2]),
                             library_rows(outputs[0], output_address(outputs[0])),
                             dense_rows(outputs[1], output_address(outputs[1]))};
  return library_takes(attention, s) && run_by_library(attention, s);
}

void run_kernels(const AttentionShape& shape, AttentionCall& call, const Stream& s) {
  const Prepared& prepared = prepared_for(shape, s);
  const AttentionPlan& plan = prepared.plan;
  add_shape(call, shape, plan);
  std::optional<Scratch> parts;
  if (plan.splits > 1) {
    auto rows = static_cast<size_t>(shape.batches * shape.query_heads * shape.length);
    auto splits = static_cast<size_t>(plan.splits), e = static_cast<size_t>(shape.e);
    parts.emplace((splits * (e + 2) + 1) * rows * sizeof(float), s);
    call.parts = parts->get();
    if (plan.merges) call.finished = finished_counters(s);
  }
  start(prepared, call, s);
}

void eval_attention(Attention& primitive, const std::vector<array>& inputs,
                    std::vector<array>& outputs) {
  const Stream& s = primitive.stream();
  const AttentionSpec& spec = primitive.spec();
  AttentionInputs in(spec, inputs);
  allocate_in_order_of(in.queries, outputs[0], s);
  allocate_output(outputs[1], s);
  if (outputs[1].size() == 0) {
    return;
  }
  const void* any = output_address(outputs[1]);
  AttentionRows rows[] = {attention_rows(in.queries, any, s), attention_rows(in.keys, any, s),
                          attention_rows(in.values, any, s)};
  AttentionShape shape = attention_shape(spec, inputs);
  if (run_by_library(shape, spec, in, rows, outputs, s)) {
    return;
  }
  AttentionCall call{};
  add_rows(call, rows[0], rows[1], rows[2]);
  call.scale = spec.scale;
  call.out = output_address(outputs[0]);
  call.dense_out = outputs[0].flags().row_contiguous;
  for (int i = 0; i < 3; i++) call.out_strides[i] = outputs[0].strides(i);
  call.logsumexp = static_cast<float*>(output_address(outputs[1]));
  if (in.mask) add_mask(call, *in.mask, s);
  array sinks = in.sinks ? contiguous(*in.sinks, s) : in.queries;
  if (in.sinks) call.sinks = input_address(sinks, s);
  run_kernels(shape, call, s);
}

bool supports(const Attention& primitive, const std::vector<array>& inputs) {
  return has_attention_kernels(inputs, primitive.stream());
}

const Register<Attention> attention(eval_attention, supports);

}  // namespace

}  // namespace mlx::core::cuda
