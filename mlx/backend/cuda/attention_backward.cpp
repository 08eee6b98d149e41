// Attention's gradients on the GPU: by cuDNN where it can, by two passes over the scores otherwise,
// one for the queries and one for keys and values. Neither holds the scores.
#include "mlx/backend/cuda/attention_backward_plan.h"
#include "mlx/backend/cuda/attention_library.h"
#include "mlx/backend/cuda/attention_operands.h"
#include "mlx/backend/cuda/copy.h"
#include "mlx/backend/cuda/kernels/attention_call.h"
#include "mlx/backend/cuda/registry.h"

namespace mlx::core::cuda {

namespace {

using kernels::AttentionBackwardCall;

/** What the kernels read, where it can be read in pieces. */
struct BackwardRows {
  AttentionRows q, k, v, result, cotangent;

  BackwardRows(const AttentionInputs& in, const void* any, const Stream& s)
      : q(attention_rows(in.queries, any, s)),
        k(attention_rows(in.keys, any, s)),
        v(attention_rows(in.values, any, s)),
        result(attention_rows(*in.result, any, s)),
        cotangent(attention_rows(*in.cotangent, any, s)) {}
};

void set_rows(const AttentionRows& rows, const void*& data, int64_t (&strides)[3], int64_t& width) {
  data = rows.data;
  for (int i = 0; i < 3; i++) strides[i] = rows.strides[i];
  width = rows.width;
}

void set_gradient(array& out, void*& data, int64_t (&strides)[3]) {
  data = output_address(out);
  for (int i = 0; i < 3; i++) strides[i] = out.strides(i);
}

AttentionBackwardCall call_of(const AttentionShape& shape, const AttentionSpec& spec,
                              const BackwardRows& rows) {
  AttentionBackwardCall call{};
  set_rows(rows.q, call.q, call.q_strides, call.q_width);
  set_rows(rows.k, call.k, call.k_strides, call.k_width);
  set_rows(rows.v, call.v, call.v_strides, call.v_width);
  set_rows(rows.result, call.result, call.result_strides, call.result_width);
  set_rows(rows.cotangent, call.cotangent, call.cotangent_strides, call.cotangent_width);
  call.batches = shape.batches;
  call.heads = shape.query_heads;
  call.key_heads = shape.key_heads;
  call.length = shape.length;
  call.keys = shape.keys;
  call.d = shape.d;
  call.e = shape.e;
  call.causal = spec.causal;
  call.scale = spec.scale;
  return call;
}

/** By cuDNN, if there is enough to do and it can. */
bool run_by_library(const AttentionShape& shape, const AttentionSpec& spec,
                    const AttentionInputs& in, const BackwardRows& rows, const void* logsumexp,
                    std::vector<array>& outputs, const Stream& s) {
  if (shape.dtype == float32 || in.mask || in.sinks || !is_large(shape)) {
    return false;
  }
  LibraryAttentionBackward backward{
      {shape.dtype, spec.scale, spec.causal, library_rows(in.queries, rows.q),
       library_rows(in.keys, rows.k), library_rows(in.values, rows.v),
       library_rows(*in.result, rows.result), dense_rows(*in.logsumexp, logsumexp)},
      library_rows(*in.cotangent, rows.cotangent),
      library_rows(outputs[0], output_address(outputs[0])),
      library_rows(outputs[1], output_address(outputs[1])),
      library_rows(outputs[2], output_address(outputs[2]))};
  return library_takes(backward, s) && run_by_library(backward, s);
}

void start(const AttentionPass& pass, AttentionBackwardCall& call, const Stream& s) {
  call.section = pass.section;
  Kernel kernel = kernel_of(pass.call, s);
  ask_for_shared(kernel, pass.shared_bytes);
  dim3 grid(blocks_for(pass.blocks, 1), static_cast<unsigned>(pass.slices));
  launch(kernel, grid, static_cast<unsigned>(pass.call.threads), s, call, pass.shared_bytes);
}

void run_kernels(const AttentionShape& shape, AttentionBackwardCall& call, const Stream& s) {
  AttentionBackwardPlan plan = plan_attention_backward(shape, attention_device(s));
  int64_t rows = shape.batches * shape.query_heads * shape.length;
  Scratch facts(2 * static_cast<size_t>(rows) * sizeof(float), s);
  call.row_sums = static_cast<float*>(facts.get());
  call.factors = call.row_sums + rows;
  launch(kernel_of(plan.row_sums, s), blocks_for(rows, row_sums_rows), 32 * row_sums_rows, s, call);
  if (call.sinks) {
    launch(kernel_of(plan.sink_gradients, s), blocks_for(shape.query_heads, 1),
           static_cast<unsigned>(plan.sink_gradients.threads), s, call);
  }
  start(plan.queries, call, s);
  start(plan.keys, call, s);
}

void eval_backward(AttentionBackward& primitive, const std::vector<array>& inputs,
                   std::vector<array>& outputs) {
  const Stream& s = primitive.stream();
  const AttentionSpec& spec = primitive.spec();
  AttentionInputs in(spec, inputs);
  if (in.logsumexp->size() == 0) {
    for (array& each : outputs) {
      allocate_output(each, s);
      if (each.size() > 0) clear(output_address(each), each.nbytes(), s);
    }
    return;
  }
  allocate_gradients(in, outputs, s);
  array logsumexp = contiguous(*in.logsumexp, s);
  const void* statistics = input_address(logsumexp, s);
  BackwardRows rows(in, statistics, s);
  AttentionShape shape = attention_shape(spec, inputs);
  shape.general = spec.has_mask;
  if (run_by_library(shape, spec, in, rows, statistics, outputs, s)) {
    return;
  }
  AttentionBackwardCall call = call_of(shape, spec, rows);
  call.logsumexp = static_cast<const float*>(statistics);
  set_gradient(outputs[0], call.dq, call.dq_strides);
  set_gradient(outputs[1], call.dk, call.dk_strides);
  set_gradient(outputs[2], call.dv, call.dv_strides);
  array sinks = in.sinks ? contiguous(*in.sinks, s) : in.queries;
  if (in.sinks) {
    call.sinks = input_address(sinks, s);
    call.dsinks = output_address(outputs.back());
  }
  if (in.mask) {
    call.mask = input_address(*in.mask, s);
    call.bool_mask = in.mask->dtype() == bool_;
    add_mask_strides(call.mask_strides, *in.mask);
  }
  run_kernels(shape, call, s);
}

/** Gradients of masks are as many as the scores, so plain ops are as good. */
bool supports(const AttentionBackward& primitive, const std::vector<array>& inputs) {
  return has_attention_kernels(inputs, primitive.stream()) && !primitive.mask_gradient();
}

const Register<AttentionBackward> attention_backward(eval_backward, supports);

}  // namespace

}  // namespace mlx::core::cuda
