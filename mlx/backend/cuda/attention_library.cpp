// Attention as graphs of cuDNN, which knows them by their form: products, pointwise operations and
// reductions in this order.
#include "mlx/backend/cuda/attention_library.h"

#include "mlx/backend/cuda/dnn_graph.h"
#include "mlx/backend/cuda/dnn_plans.h"
#include "mlx/backend/cuda/runtime/allocator.h"
#include "mlx/utils.h"

#if __has_include(<cudnn_graph.h>)

namespace mlx::core::cuda {

namespace {

constexpr size_t most_plans = 256;
constexpr int64_t most_workspace = int64_t{256} << 20;
/** Earlier ones are wrong at some lengths without saying so. */
constexpr size_t first_version = 91600;

enum Id : int64_t {
  q_id = 1,
  k_id,
  v_id,
  result_id,
  logsumexp_id,
  cotangent_id,
  dq_id,
  dk_id,
  dv_id,
  scale_id,
  hidden_id,
  keys_id,
  length_id,
  one_id,
  dq_sums_id,
  row_sums_id
};

using Value = DnnGraph::Value;

/** Numbers that come with each call. */
struct Numbers {
  float scale, hidden = -std::numeric_limits<float>::infinity(), one = 1;
  int32_t keys, length;
};

LibraryTensor swapped(LibraryTensor t) {
  std::swap(t.shape[2], t.shape[3]);
  std::swap(t.strides[2], t.strides[3]);
  return t;
}

/** The graph, and what both directions need of it. */
struct Writer {
  const LibraryAttention& a;
  DnnGraph graph;
  cudnnDataType_t type;
  DnnShape scores, rows;
  bool square;

  explicit Writer(const LibraryAttention& attention)
      : a(attention),
        type(dnn_type(a.dtype)),
        scores{a.q.shape[0], a.q.shape[1], a.q.shape[2], a.k.shape[2]},
        rows{a.q.shape[0], a.q.shape[1], a.q.shape[2], 1},
        square(a.q.shape[2] == a.k.shape[2]) {}

  Value memory(int64_t id, const LibraryTensor& t) {
    return graph.memory(id, type, t.shape, t.strides);
  }
  Value logsumexp() {
    return graph.memory(logsumexp_id, CUDNN_DATA_FLOAT, a.logsumexp.shape, a.logsumexp.strides);
  }

  /** Hides keys from the queries before them. */
  Value hide(const Value& x) {
    if (!a.causal) return x;
    Value row = graph.index(x, 2), column = graph.index(x, 3);
    if (!square) {
      Value keys = graph.number(keys_id, CUDNN_DATA_INT32);
      Value length = graph.number(length_id, CUDNN_DATA_INT32);
      Value later = graph.between(scores, CUDNN_DATA_INT32);
      graph.apply(CUDNN_POINTWISE_ADD, {row, keys}, later, CUDNN_DATA_INT32);
      row = graph.between(scores, CUDNN_DATA_INT32);
      graph.apply(CUDNN_POINTWISE_SUB, {later, length}, row, CUDNN_DATA_INT32);
    }
    Value seen = graph.between(scores, CUDNN_DATA_BOOLEAN);
    graph.apply(CUDNN_POINTWISE_CMP_GE, {row, column}, seen, CUDNN_DATA_BOOLEAN);
    return graph.apply(CUDNN_POINTWISE_BINARY_SELECT,
                       {x, graph.number(hidden_id, CUDNN_DATA_FLOAT), seen});
  }
};

bool any_choice(const DnnDescriptor&) { return true; }

DnnPlan plan_forward(const LibraryAttention& a) {
  Writer w(a);
  DnnGraph& g = w.graph;
  Value products = g.between(w.scores);
  g.multiply(w.memory(q_id, a.q), w.memory(k_id, swapped(a.k)), products);
  Value scores =
      w.hide(g.apply(CUDNN_POINTWISE_MUL, {products, g.number(scale_id, CUDNN_DATA_FLOAT)}));
  Value highest = g.between(w.rows), total = g.between(w.rows);
  g.reduce(CUDNN_REDUCE_TENSOR_MAX, scores, highest);
  Value powers = g.apply(CUDNN_POINTWISE_EXP, {g.apply(CUDNN_POINTWISE_SUB, {scores, highest})});
  g.reduce(CUDNN_REDUCE_TENSOR_ADD, powers, total);
  g.apply(CUDNN_POINTWISE_ADD, {highest, g.apply(CUDNN_POINTWISE_LOG, {total})}, w.logsumexp());
  Value weights = g.between(w.scores, w.type);
  g.apply(CUDNN_POINTWISE_DIV, {powers, total}, weights);
  g.multiply(weights, w.memory(v_id, a.v), w.memory(result_id, a.result));
  return g.plan(most_workspace, any_choice);
}

/** to = x^T y over the rows of scores, added up over the heads that share `to`. */
void multiply_back(Writer& w, const Value& x, const Value& y, const Value& to) {
  DnnGraph& g = w.graph;
  const DnnShape& s = w.scores;
  Value turned =
      g.between({s[0], s[1], s[3], s[2]}, w.type, {s[1] * s[2] * s[3], s[2] * s[3], 1, s[3]});
  g.reshape(x, turned);
  if (to.shape[1] == s[1]) {
    g.multiply(turned, y, to);
    return;
  }
  Value heads = g.between({s[0], s[1], s[3], to.shape[3]}, w.type);
  g.multiply(turned, y, heads);
  g.reduce(CUDNN_REDUCE_TENSOR_ADD, heads, to);
}

DnnPlan plan_backward(const LibraryAttentionBackward& b) {
  const LibraryAttention& a = b.forward;
  Writer w(a);
  DnnGraph& g = w.graph;
  Value q = w.memory(q_id, a.q), k = w.memory(k_id, swapped(a.k));
  Value cotangent = w.memory(cotangent_id, b.cotangent);
  Value scale = g.number(scale_id, CUDNN_DATA_FLOAT);
  // row_sums = the cotangent's products with the result
  Value drawn = g.apply(CUDNN_POINTWISE_MUL, {cotangent, w.memory(result_id, a.result)});
  Value sums = g.between(w.rows);
  g.reduce(CUDNN_REDUCE_TENSOR_ADD, drawn, sums);
  Value row_sums = g.memory(row_sums_id, CUDNN_DATA_FLOAT, a.logsumexp.shape, a.logsumexp.strides);
  g.apply(CUDNN_POINTWISE_MUL, {sums, g.number(one_id, CUDNN_DATA_FLOAT)}, row_sums);
  // weights again, and dv
  Value products = g.between(w.scores);
  g.multiply(q, k, products);
  Value scores = g.apply(CUDNN_POINTWISE_MUL, {products, scale});
  scores = w.hide(g.apply(CUDNN_POINTWISE_SUB, {scores, w.logsumexp()}));
  Value weights = g.apply(CUDNN_POINTWISE_EXP, {scores});
  multiply_back(w, weights, cotangent, w.memory(dv_id, b.dv));
  // dscores = scale weights (cotangent values^T - row_sums), and dk
  Value dweights = g.between(w.scores);
  g.multiply(cotangent, w.memory(v_id, swapped(a.v)), dweights);
  Value dscores = g.apply(CUDNN_POINTWISE_SUB, {dweights, row_sums});
  dscores = g.apply(CUDNN_POINTWISE_MUL, {dscores, weights});
  dscores = g.apply(CUDNN_POINTWISE_MUL, {dscores, scale});
  multiply_back(w, dscores, q, w.memory(dk_id, b.dk));
  // dq, added up in float
  Value keys = g.between(a.k.shape, CUDNN_DATA_FLOAT, a.k.strides);
  g.reshape(k, keys);
  DnnShape dense{a.q.shape[1] * a.q.shape[2] * a.q.shape[3], a.q.shape[2] * a.q.shape[3],
                 a.q.shape[3], 1};
  Value dq_sums = g.memory(dq_sums_id, CUDNN_DATA_FLOAT, a.q.shape, dense);
  g.multiply(dscores, keys, dq_sums);
  g.apply(CUDNN_POINTWISE_IDENTITY, {dq_sums}, w.memory(dq_id, b.dq));
  return g.plan(most_workspace, any_choice);
}

void add(DnnPlans::Key& key, const LibraryTensor& t) {
  key.insert(key.end(), t.shape.begin(), t.shape.end());
  key.insert(key.end(), t.strides.begin(), t.strides.end());
}

DnnPlans::Key key_of(const LibraryAttention& a) {
  DnnPlans::Key key{static_cast<int64_t>(a.dtype.val()), a.causal};
  for (const auto* t : {&a.q, &a.k, &a.v, &a.result}) add(key, *t);
  return key;
}

DnnPlans& all_plans() {
  static auto* plans = new DnnPlans(most_plans);
  return *plans;
}

/** Of a graph with the forward's tensors and numbers. */
DnnArguments arguments_of(const LibraryAttention& a, const Numbers& numbers) {
  DnnArguments arguments;
  arguments.memory(q_id, a.q.data);
  arguments.memory(k_id, a.k.data);
  arguments.memory(v_id, a.v.data);
  arguments.memory(result_id, a.result.data);
  arguments.memory(logsumexp_id, a.logsumexp.data);
  arguments.number(scale_id, numbers.scale);
  if (!a.causal) return arguments;
  arguments.number(hidden_id, numbers.hidden);
  if (a.q.shape[2] == a.k.shape[2]) return arguments;
  arguments.number(keys_id, numbers.keys);
  arguments.number(length_id, numbers.length);
  return arguments;
}

Numbers numbers_of(const LibraryAttention& a) {
  return {.scale = a.scale,
          .keys = static_cast<int32_t>(a.k.shape[2]),
          .length = static_cast<int32_t>(a.q.shape[2])};
}

/** The gradients' bits may differ from run to run, so it can be turned off. */
bool is_wanted() {
  static const bool wanted = env::get_var("MLX_CUDNN_ATTENTION", 1) != 0;
  return wanted && DnnLibrary::find() && dnn().version() >= first_version;
}

bool is_aligned(const LibraryTensor& t) {
  bool aligned = reinterpret_cast<uint64_t>(t.data) % 16 == 0 && t.strides[3] == 1;
  for (size_t i = 0; i < 3; i++) aligned = aligned && t.strides[i] > 0 && t.strides[i] % 8 == 0;
  return aligned && t.shape[3] % 8 == 0;
}

}  // namespace

bool library_takes(const LibraryAttention& a, const Stream& s) {
  const DeviceFacts& facts = device_facts(s.device.index);
  int64_t widest = facts.major == 9 ? 256 : 128;
  bool fits =
      std::max(a.q.shape[3], a.v.shape[3]) <= widest && (!a.causal || a.q.shape[2] <= a.k.shape[2]);
  for (const auto* t : {&a.q, &a.k, &a.v, &a.result}) fits = fits && is_aligned(*t);
  return fits && is_wanted();
}

bool library_takes(const LibraryAttentionBackward& b, const Stream& s) {
  bool aligned = true;
  for (const auto* t : {&b.cotangent, &b.dq, &b.dk, &b.dv}) aligned = aligned && is_aligned(*t);
  return aligned && library_takes(b.forward, s);
}

bool run_by_library(const LibraryAttention& a, const Stream& s) {
  Numbers numbers = numbers_of(a);
  return all_plans().run(
      key_of(a), [&] { return plan_forward(a); }, arguments_of(a, numbers), s);
}

bool run_by_library(const LibraryAttentionBackward& b, const Stream& s) {
  const LibraryAttention& a = b.forward;
  Numbers numbers = numbers_of(a);
  size_t rows = static_cast<size_t>(a.q.shape[0] * a.q.shape[1] * a.q.shape[2]);
  Scratch row_sums(rows * sizeof(float), s);
  Scratch dq_sums(rows * static_cast<size_t>(a.q.shape[3]) * sizeof(float), s);
  DnnArguments arguments = arguments_of(a, numbers);
  arguments.memory(cotangent_id, b.cotangent.data);
  arguments.memory(dq_id, b.dq.data);
  arguments.memory(dk_id, b.dk.data);
  arguments.memory(dv_id, b.dv.data);
  arguments.number(one_id, numbers.one);
  arguments.memory(dq_sums_id, dq_sums.get());
  arguments.memory(row_sums_id, row_sums.get());
  DnnPlans::Key key = key_of(a);
  for (const auto* t : {&b.cotangent, &b.dq, &b.dk, &b.dv}) add(key, *t);
  return all_plans().run(
      key, [&] { return plan_backward(b); }, arguments, s);
}

}  // namespace mlx::core::cuda

#else

namespace mlx::core::cuda {

bool library_takes(const LibraryAttention&, const Stream&) { return false; }
bool library_takes(const LibraryAttentionBackward&, const Stream&) { return false; }
bool run_by_library(const LibraryAttention&, const Stream&) { return false; }
bool run_by_library(const LibraryAttentionBackward&, const Stream&) { return false; }

}  // namespace mlx::core::cuda

#endif
