// Quantised matrices on the GPU: products that read the codes, and the matrix as numbers where a
// library multiplies.
#include "mlx/backend/cuda/quantized.h"

#include <algorithm>
#include <array>
#include <map>
#include <mutex>

#include "mlx/backend/cuda/attention_operands.h"
#include "mlx/backend/cuda/copy.h"
#include "mlx/backend/cuda/kernels/quantized_call.h"
#include "mlx/backend/cuda/matmul_plan.h"
#include "mlx/backend/cuda/quantized_plan.h"
#include "mlx/backend/cuda/registry.h"
#include "mlx/backend/cuda/runtime/operand.h"
#include "mlx/backend/cuda/runtime/replay.h"
#include "mlx/backend/cuda/runtime/reports.h"
#include "mlx/core/layout.h"
#include "mlx/primitives/quantized.h"

namespace mlx::core::cuda {

namespace {

using kernels::QuantizedMatrix;
using kernels::QuantizedPacking;
using kernels::QuantizedProducts;
using kernels::QuantizedRowsCall;
using kernels::RowSort;
using kernels::RowTile;

constexpr uint64_t piece = 16;

/** Row contiguous, at an address that kernels read pieces from. */
array in_pieces(const array& a, const Stream& s) {
  array dense = contiguous(a, s);
  if (a.size() == 0 || reinterpret_cast<uint64_t>(input_address(dense, s)) % piece == 0) {
    return dense;
  }
  array moved(a.shape(), a.dtype(), nullptr, {});
  copy(dense, moved, s);
  return moved;
}

/** With these axes in front of the last ones, in memory where that is not so already. */
array with_batch(const array& a, const Shape& batch, size_t last, const Stream& s) {
  Shape shape = batch;
  shape.insert(shape.end(), a.shape().end() - static_cast<int64_t>(std::min(last, a.ndim())),
               a.shape().end());
  if (a.shape() == shape) return in_pieces(a, s);
  array view(shape, a.dtype(), nullptr, {});
  share_view(a, view, broadcast_strides(a, shape));
  return in_pieces(view, s);
}

int64_t elements(const Shape& shape) {
  int64_t count = 1;
  for (int extent : shape) count *= extent;
  return count;
}

Shape batch_of(const array& a) {
  return a.ndim() < 2 ? Shape{} : Shape(a.shape().begin(), a.shape().end() - 2);
}

/** A quantised matrix, or a batch of them, as kernels read it. */
struct Weight {
  array packed, scales, biases, global_scale;
  bool biased, scaled;
  int64_t matrices;

  /** `batch`: what the axes in front are to be. */
  Weight(const QuantizedWeight& w, const Shape& batch, const Stream& s)
      : packed(with_batch(w.packed, batch, 2, s)),
        scales(with_batch(w.scales, batch, 2, s)),
        biases(w.biases ? with_batch(*w.biases, batch, 2, s) : scales),
        global_scale(!w.global_scale               ? scales
                     : w.global_scale->size() == 1 ? *w.global_scale
                                                   : with_batch(*w.global_scale, batch, 0, s)),
        biased(w.biases),
        scaled(w.global_scale),
        matrices(elements(batch)) {}

  int64_t rows() const { return packed.ndim() < 2 ? 1 : packed.shape(-2); }
  const float* global_address(const Stream& s) const {
    return scaled ? static_cast<const float*>(input_address(global_scale, s)) : nullptr;
  }
  int64_t global_batch() const { return scaled && global_scale.size() > 1; }
};

/** The shape that a weight's batch has on its own, or that of the output if it has several. */
Shape batch_for(const QuantizedWeight& w, const Shape& out_batch) {
  Shape own = batch_of(w.packed);
  return elements(own) == 1 ? own : out_batch;
}

QuantizedDevice device_of(const Stream& s) {
  const DeviceFacts& facts = device_facts(s.device.index);
  return {facts.major, facts.multiprocessors};
}

/** A kernel that does so many times eight numbers per thread. */
template <typename Call>
void start_eights(const KernelCall& kernel, const Call& call, int each, const Stream& s) {
  launch(kernel_of(kernel, s), blocks_for(call.count, int64_t{8} * each * kernel.threads),
         static_cast<unsigned>(kernel.threads), s, call);
}

/** Writes the numbers of all matrices to `to`. */
void unpack(const QuantizedFormat& format, const Weight& w, Dtype result, void* to,
            const Stream& s) {
  QuantizedMatrix call{};
  call.packed = input_address(w.packed, s);
  call.scales = input_address(w.scales, s);
  call.biases = input_address(w.biases, s);
  call.global_scale = w.global_address(s);
  call.global_batch = w.global_batch();
  call.numbers = to;
  call.matrix = w.rows() * format.values(w.packed.shape(-1));
  call.count = w.matrices * call.matrix;
  Dtype scales = w.biased ? w.scales.dtype() : result;
  start_eights(quantized_unpack_call(format, result, scales), call, kernels::quantized_unpack_each,
               s);
}

/** Multiplies with the numbers of the weight. */
void multiply_numbers(const QuantizedFormat& format, bool transpose, const array& x,
                      const Weight& w, array& out, const Stream& s) {
  int64_t n = out.shape(-1), k = x.shape(-1), batch = w.matrices;
  Scratch numbers(static_cast<size_t>(batch * n * k) * out.itemsize(), s);
  unpack(format, w, out.dtype(), numbers.get(), s);
  int64_t m = static_cast<int64_t>(out.size()) / (n * batch);
  run_product({out.dtype(),
               m,
               n,
               k,
               batch,
               {input_address(x, s), false, k, m * k},
               {numbers.get(), transpose, transpose ? k : n, n * k},
               1.0f,
               0.0f,
               nullptr,
               output_address(out),
               m * n},
              s);
}

QuantizedProducts products_of(const QuantizedFormat& format, const array& x, const Weight& w,
                              array& out, const Stream& s) {
  QuantizedProducts call{};
  call.x = input_address(x, s);
  call.w = input_address(w.packed, s);
  call.scales = input_address(w.scales, s);
  call.biases = w.biased ? input_address(w.biases, s) : nullptr;
  call.global_scale = w.global_address(s);
  call.global_batch = w.global_batch();
  call.out = output_address(out);
  call.n = out.shape(-1);
  call.k = x.shape(-1);
  call.x_row = call.k;
  if (w.matrices > 1) {
    call.w_batch = call.n * w.packed.shape(-1) * static_cast<int64_t>(sizeof(uint32_t));
    call.scale_batch = call.n * call.k / format.group_size;
  }
  return call;
}

/** The plan's kernel, found without making its name, allowed what it needs of shared memory. */
Kernel kernel_of(const QuantizedPlan& plan, const QuantizedFormat& format, Dtype dtype,
                 const Stream& s) {
  using Key = std::array<int, 7>;
  static auto* mutex = new std::mutex;
  static auto* kernels = new std::map<Key, Kernel>;
  Key key{static_cast<int>(format.mode),
          format.bits,
          format.group_size,
          static_cast<int>(dtype.val()),
          plan.kind,
          plan.size,
          s.device.index};
  std::lock_guard lock(*mutex);
  auto known = kernels->find(key);
  if (known == kernels->end()) {
    Kernel made = kernel_of(quantized_call(plan, format, dtype), s);
    use_device(s.device.index);
    ask_for_shared(made, plan.shared_bytes);
    known = kernels->emplace(key, made).first;
  }
  return known->second;
}

int64_t resident_blocks(const QuantizedPlan& plan, const Stream& s) {
  return int64_t{plan.resident} * device_of(s).multiprocessors;
}

template <typename Call>
void start_blocks(const QuantizedPlan& plan, Kernel kernel, int64_t blocks, const Call& call,
                  const Stream& s) {
  launch(kernel, blocks_for(blocks, 1), static_cast<unsigned>(plan.threads), s, call,
         plan.shared_bytes);
}

int64_t blocks_across(const QuantizedPlan& plan, const QuantizedProducts& call) {
  return (call.n + plan.columns - 1) / plan.columns;
}

void start(const QuantizedPlan& plan, Kernel kernel, const QuantizedProducts& call, int64_t tiles,
           const Stream& s) {
  int64_t blocks = tiles * blocks_across(plan, call);
  if (plan.kind != QuantizedPlan::tiles) {
    start_blocks(plan, kernel, blocks,
                 QuantizedRowsCall{resident_blocks(plan, s), overlaps(), 1, {0}, {call}}, s);
  } else {
    start_blocks(plan, kernel, blocks, call, s);
  }
}

int64_t tiles_of(const QuantizedPlan& plan, const QuantizedProducts& call) {
  return call.products * ((call.rows + plan.most_rows - 1) / plan.most_rows);
}

void start_direct(const QuantizedPlan& plan, Kernel kernel, const QuantizedProducts& call,
                  const Stream& s) {
  start(plan, kernel, call, tiles_of(plan, call), s);
}

/** Sorts the rows by their matrices before. */
void start_sorted(const QuantizedPlan& plan, Kernel kernel, QuantizedProducts& call,
                  const Stream& s) {
  int64_t rows = call.products * call.rows, matrices = call.picks.w_count;
  int64_t tiles = std::min(rows, rows / plan.most_rows + matrices);
  size_t tile_bytes = static_cast<size_t>(tiles) * sizeof(RowTile);
  Scratch memory(tile_bytes + static_cast<size_t>(rows) * sizeof(int32_t), s);
  auto* order = reinterpret_cast<int32_t*>(static_cast<char*>(memory.get()) + tile_bytes);
  RowSort sort{call.picks,
               call.products,
               call.rows,
               plan.most_rows,
               static_cast<int32_t>(tiles),
               static_cast<RowTile*>(memory.get()),
               order};
  KernelCall sorter = quantized_sort_call();
  launch(kernel_of(sorter, s), 1, static_cast<unsigned>(sorter.threads), s, sort,
         static_cast<size_t>(3 * matrices) * sizeof(int32_t));
  call.tiles = sort.tiles;
  call.order = order;
  start(plan, kernel, call, tiles, s);
}

bool has_kernels(const array& x, const Stream& s) {
  Dtype dtype = x.dtype();
  return (dtype == float32 || dtype == float16 || dtype == bfloat16) && device_of(s).major >= 8;
}

/** Gives the product its memory; whether that is all, since it is empty or made of empty sums. */
bool is_done_empty(array& out, const array& x, const Stream& s) {
  allocate_output(out, s);
  if (out.size() > 0 && x.shape(-1) == 0) {
    clear(output_address(out), out.nbytes(), s);
    return true;
  }
  return out.size() == 0;
}

QuantizedShape shape_of(const QuantizedFormat& format, const array& x, const array& out,
                        int64_t matrices) {
  int64_t n = out.shape(-1), rows = static_cast<int64_t>(out.size()) / n / matrices;
  return {out.dtype(), format, matrices, rows, n, x.shape(-1), matrices, false};
}

QuantizedProducts direct_products(const QuantizedFormat& format, const array& x, const Weight& w,
                                  array& out, const Stream& s) {
  QuantizedProducts call = products_of(format, x, w, out, s);
  call.products = w.matrices;
  call.rows = static_cast<int64_t>(out.size()) / call.n / w.matrices;
  call.x_batch = call.rows * call.k;
  return call;
}

void run_quantized_matmul(const QuantizedMatmul& primitive, std::span<const array> inputs,
                          array& out) {
  const Stream& s = primitive.stream();
  const QuantizedFormat& format = primitive.format();
  if (is_done_empty(out, inputs[0], s)) {
    return;
  }
  QuantizedWeight given = quantized_weight(format, inputs, 1);
  Weight w(given, batch_for(given, batch_of(out)), s);
  array x = with_batch(inputs[0], batch_of(out), 2, s);
  QuantizedPlan plan{};
  if (primitive.transpose()) {
    plan = plan_quantized(shape_of(format, x, out, w.matrices), device_of(s));
  }
  if (plan.way == QuantizedPlan::dense) {
    multiply_numbers(format, primitive.transpose(), x, w, out, s);
    return;
  }
  start_direct(plan, kernel_of(plan, format, out.dtype(), s), direct_products(format, x, w, out, s),
               s);
}

void eval_quantized_matmul(QuantizedMatmul& primitive, const std::vector<array>& inputs,
                           std::vector<array>& outputs) {
  run_quantized_matmul(primitive, inputs, outputs[0]);
}

/** Whether the parts are products of one sort with single matrices, of which there is something. */
bool are_alike(const std::vector<JoinedPart>& parts) {
  auto& first = static_cast<const QuantizedMatmul&>(parts[0].primitive);
  Shape batch = batch_of(parts[0].outputs[0]);
  return first.transpose() && parts.size() <= kernels::most_quantized_parts &&
         std::all_of(parts.begin(), parts.end(), [&](const JoinedPart& part) {
           return first.is_equivalent(part.primitive) && batch_of(part.inputs[1]).empty() &&
                  batch_of(part.outputs[0]) == batch && part.outputs[0].size() > 0 &&
                  part.inputs[0].shape(-1) > 0;
         });
}

bool run_together(const std::vector<JoinedPart>& parts, const Stream& s) {
  if (!are_alike(parts)) {
    return false;
  }
  auto& format = static_cast<const QuantizedMatmul&>(parts[0].primitive).format();
  const array& model = parts[0].outputs[0];
  QuantizedPlan plan = plan_quantized(shape_of(format, parts[0].inputs[0], model, 1), device_of(s));
  if (plan.way != QuantizedPlan::direct || plan.kind == QuantizedPlan::tiles) {
    return false;
  }
  array x = with_batch(parts[0].inputs[0], batch_of(model), 2, s);
  std::vector<Weight> weights;  // to the end, since they may be copies
  QuantizedRowsCall call{};
  call.resident = resident_blocks(plan, s);
  call.overlaps = overlaps();
  int64_t blocks = 0;
  for (auto& part : parts) {
    allocate_output(part.outputs[0], s);
    const Weight& w = weights.emplace_back(quantized_weight(format, part.inputs, 1), Shape{}, s);
    auto& products = call.part[call.parts] = direct_products(format, x, w, part.outputs[0], s);
    call.first_block[call.parts++] = blocks;
    blocks += tiles_of(plan, products) * blocks_across(plan, products);
  }
  start_blocks(plan, kernel_of(plan, format, model.dtype(), s), blocks, call, s);
  return true;
}

void eval_gather_quantized_matmul(GatherQuantizedMatmul& primitive,
                                  const std::vector<array>& inputs, std::vector<array>& outputs) {
  const Stream& s = primitive.stream();
  const QuantizedFormat& format = primitive.format();
  array& out = outputs[0];
  if (is_done_empty(out, inputs[0], s)) {
    return;
  }
  QuantizedWeight given = quantized_weight(format, inputs, 3);
  Weight w(given, batch_of(given.packed), s);
  array x = in_pieces(inputs[0], s), x_picks = contiguous(inputs[1], s);
  array w_picks = contiguous(inputs[2], s);
  QuantizedProducts call = products_of(format, x, w, out, s);
  call.products = static_cast<int64_t>(w_picks.size());
  call.rows = out.shape(-2);
  call.x_batch = call.rows * call.k;
  call.picks = {static_cast<const int64_t*>(input_address(x_picks, s)),
                static_cast<const int64_t*>(input_address(w_picks, s)), elements(batch_of(x)),
                w.matrices, open_report(out, s)};
  QuantizedPlan plan = plan_quantized(
      {out.dtype(), format, call.products, call.rows, call.n, call.k, w.matrices, true},
      device_of(s));
  Kernel kernel = kernel_of(plan, format, out.dtype(), s);
  if (plan.way == QuantizedPlan::sorted) {
    start_sorted(plan, kernel, call, s);
  } else {
    start_direct(plan, kernel, call, s);
  }
}

void eval_dequantize(Dequantize& primitive, const std::vector<array>& inputs,
                     std::vector<array>& outputs) {
  const Stream& s = primitive.stream();
  QuantizedWeight given = quantized_weight(primitive.format(), inputs, 0);
  allocate_output(outputs[0], s);
  if (outputs[0].size() > 0) {
    Weight w(given, batch_of(given.packed), s);
    unpack(primitive.format(), w, primitive.dtype(), output_address(outputs[0]), s);
  }
}

void eval_quantize(Quantize& primitive, const std::vector<array>& inputs,
                   std::vector<array>& outputs) {
  const Stream& s = primitive.stream();
  for (array& each : outputs) allocate_output(each, s);
  if (inputs[0].size() == 0) {
    return;
  }
  array w = in_pieces(inputs[0], s);
  bool scaled = inputs.size() > 1;
  array global_scale = !scaled                 ? w
                       : inputs[1].size() == 1 ? inputs[1]
                                               : with_batch(inputs[1], batch_of(w), 0, s);
  QuantizedPacking call{};
  call.numbers = input_address(w, s);
  call.global_scale = scaled ? static_cast<const float*>(input_address(global_scale, s)) : nullptr;
  call.packed = output_address(outputs[0]);
  call.scales = output_address(outputs[1]);
  call.biases = primitive.format().has_biases() ? output_address(outputs[2]) : nullptr;
  call.count = static_cast<int64_t>(w.size());
  call.matrix = call.count / elements(batch_of(w));
  call.global_batch = scaled && global_scale.size() > 1;
  start_eights(quantized_pack_call(primitive.format(), w.dtype()), call, 1, s);
}

bool supports_matmul(const QuantizedMatmul& primitive, const std::vector<array>& inputs) {
  return has_kernels(inputs[0], primitive.stream());
}

bool supports_gather(const GatherQuantizedMatmul& primitive, const std::vector<array>& inputs) {
  return primitive.transpose() && has_kernels(inputs[0], primitive.stream());
}

bool supports_quantize(const Quantize& primitive, const std::vector<array>& inputs) {
  return has_kernels(inputs[0], primitive.stream());
}

bool supports_dequantize(const Dequantize& primitive, const std::vector<array>&) {
  return primitive.dtype() != float64 && device_of(primitive.stream()).major >= 8;
}

const Register<QuantizedMatmul> quantized_matmul(eval_quantized_matmul, supports_matmul);
const Register<GatherQuantizedMatmul> gather_quantized_matmul(eval_gather_quantized_matmul,
                                                              supports_gather);
const Register<Quantize> quantize(eval_quantize, supports_quantize);
const Register<Dequantize> dequantize(eval_dequantize, supports_dequantize);

}  // namespace

void run_joined_quantized_products(const std::vector<JoinedPart>& parts, const Stream& s) {
  if (!run_together(parts, s)) {
    run_apart(parts, [](const JoinedPart& part) {
      run_quantized_matmul(static_cast<const QuantizedMatmul&>(part.primitive), part.inputs,
                           part.outputs[0]);
    });
  }
}

}  // namespace mlx::core::cuda
