// From arrays to launches of program kernels: how each input is walked, how wide, and which
// compiled variant that takes.
#include "mlx/backend/cuda/program.h"

#include <algorithm>
#include <cstdlib>
#include <list>
#include <mutex>
#include <span>
#include <unordered_map>

#include "mlx/backend/cuda/copy.h"
#include "mlx/backend/cuda/foresight.h"
#include "mlx/backend/cuda/matmul.h"
#include "mlx/backend/cuda/norm.h"
#include "mlx/backend/cuda/parameters.h"
#include "mlx/backend/cuda/program_parts.h"
#include "mlx/backend/cuda/program_source.h"
#include "mlx/backend/cuda/random.h"
#include "mlx/backend/cuda/registry.h"
#include "mlx/backend/cuda/runtime/operand.h"
#include "mlx/core/errors.h"
#include "mlx/core/layout.h"
#include "mlx/primitives/elementwise.h"
#include "mlx/primitives/fused.h"

namespace mlx::core::cuda {

namespace {

constexpr int64_t narrow_limit = int64_t{1} << 30;
/** Inputs at least this large are put in order first when their rows jump through memory. */
constexpr size_t reorder_size = size_t{1} << 14;

/** The kernels of each distinct program of the process, which has a number to name them by. */
class ProgramKernels {
 public:
  static ProgramKernels& instance() {
    static auto* kernels = new ProgramKernels;
    return *kernels;
  }

  Kernel find(const Program& program, const ProgramVariant& variant, const Stream& s) {
    std::string name;
    {
      std::lock_guard lock(mutex_);
      Known& known = entry_of(program);
      for (auto& [made_for, kernel] : known.kernels) {
        if (made_for == variant) return kernel;
      }
      name = name_of(known, variant);
    }
    Kernel made = kernel_of(name, "program", s, [&] { return program_source(program, variant); });
    std::lock_guard lock(mutex_);
    entry_of(program).kernels.emplace_back(variant, made);
    return made;
  }

  void foresee(const Program& program, const ProgramVariant& variant, const Stream& s) {
    std::string name;
    {
      std::lock_guard lock(mutex_);
      name = name_of(entry_of(program), variant);
    }
    foresee_kernel(name, s, [&] { return program_source(program, variant); });
  }

 private:
  struct Known {
    Program program;
    size_t number;
    std::vector<std::pair<ProgramVariant, Kernel>> kernels;
  };

  static std::string name_of(const Known& known, const ProgramVariant& variant) {
    return "program " + std::to_string(known.number) + variant.key();
  }

  Known& entry_of(const Program& program) {
    auto& bucket = known_[program.hash()];
    for (auto& known : bucket) {
      if (known.program == program) return known;
    }
    program.validate();
    return bucket.emplace_back(Known{program, next_++, {}});
  }

  std::mutex mutex_;
  std::unordered_map<size_t, std::vector<Known>> known_;
  size_t next_ = 0;
};

class Run {
 public:
  /** `is_ahead` if it will only tell its kernel, before the arrays are all there. */
  Run(const Program& program, std::span<const array> inputs, std::span<array> outputs,
      const Stream& s, const std::vector<bool>& generated, bool is_ahead = false)
      : program_(program),
        outputs_(outputs),
        stream_(s),
        n_(outputs[0].size()),
        generated_(generated),
        is_ahead_(is_ahead) {
    for (size_t i = 0; i < inputs.size(); i++) {
      bool reads_keys = makes(i) && !is_ahead;
      inputs_.push_back(reads_keys ? replace(readable_keys(inputs[i], s)) : &inputs[i]);
    }
  }

  void execute() {
    prepare();
    if (n_ > 0) start();
  }

  /** All but the launch. */
  void prepare() {
    if (n_ == 0) {
      for (auto& out : outputs_) {
        out.set_data(allocator::malloc(0));
      }
      return;
    }
    choose_access();
    read_addresses();
    make_outputs();
    choose_width();
  }

  /** Makes it a part of a joined launch, if every array is walked in order; such a launch has
   *  threads enough to take whole packs. */
  bool prepare_part() {
    prepare();
    return n_ > 0 && join();
  }

  /** Has the kernel compiled that `execute` will take, or one with others of its sort. */
  void foresee(bool joins) {
    choose_access();
    choose_width();
    if (joins) join();
    ProgramKernels::instance().foresee(program_, variant_, stream_);
  }

  void start() {
    Parameters parameters;
    parameters.add(static_cast<int64_t>(n_));
    if (variant_.rank) {
      parameters.add_padded(layout_.shape, variant_.rank, 1);
    }
    add_arrays(parameters);
    for (auto& strides : layout_.strides) {
      parameters.add_padded(strides, variant_.rank, 0);
    }
    auto walked = static_cast<int64_t>(is_paired() ? (n_ + 1) / 2 : n_);
    parameters.launch(kernel(), blocks_of(walked), program_threads, stream_);
  }

  bool walks_like(const Run& other) const { return variant_ == other.variant_; }

  /** Starts parts that walk alike. */
  static void start_joined(std::span<Run* const> parts) {
    Parameters parameters;
    parameters.add(static_cast<int64_t>(parts.size()));
    int64_t blocks = 0;
    size_t before = parameters.size();
    for (Run* run : parts) {
      auto count = static_cast<int64_t>(run->n_);
      parameters.add(blocks);
      parameters.add(count);
      run->add_arrays(parameters);
      blocks += run->blocks_of(count);
    }
    auto room = static_cast<size_t>(most_parts(parts[0]->program_)) - parts.size();
    parameters.add_zeros(room * (parameters.size() - before) / parts.size());
    parameters.launch(parts[0]->kernel(), blocks_for(blocks, 1), program_threads,
                      parts[0]->stream_);
  }

 private:
  bool join() {
    variant_.joined = variant_.rank == 0 && !variant_.wide;
    if (variant_.joined) variant_.width = fitting_width();
    return variant_.joined;
  }

  /** Whether input `i` is the keys of words that the program makes. */
  bool makes(size_t i) const { return i < generated_.size() && generated_[i]; }

  const array* replace(array by) {
    if (replaced_.empty()) replaced_.reserve(2 * program_.inputs.size());  // addresses are kept
    replaced_.push_back(std::move(by));
    return &replaced_.back();
  }

  /** Whether all inputs that are no scalars share one dense layout. Words are made in row order. */
  bool find_common_layout() {
    model_ = nullptr;
    for (size_t i = 0; i < inputs_.size(); i++) {
      const array* in = inputs_[i];
      if (in->size() == 1 || makes(i)) continue;
      if (in->shape() != outputs_[0].shape() || !in->flags().contiguous ||
          in->data_size() != in->size()) {
        return false;
      }
      bool same = !model_ || (in->flags().row_contiguous && model_->flags().row_contiguous) ||
                  in->strides() == model_->strides();
      if (!same) return false;
      if (!model_) model_ = in;
    }
    return !model_ || !is_paired() || model_->flags().row_contiguous;
  }

  bool is_paired() const {
    return std::find(generated_.begin(), generated_.end(), true) != generated_.end();
  }

  void choose_access() {
    bool dense = find_common_layout();
    if (!dense) {
      model_ = nullptr;
      if (!is_ahead_) reorder_wide();
    }
    const Shape& shape = outputs_[0].shape();
    std::vector<Strides> strides;
    for (size_t i = 0; i < inputs_.size(); i++) {
      const array* in = inputs_[i];
      bool in_order = in->flags().row_contiguous && in->shape() == shape;
      if (makes(i)) {
        bool along = !in->buffer().device_memory();
        variant_.inputs.push_back(along ? ProgramVariant::made_given : ProgramVariant::made);
      } else if (in->size() == 1) {
        bool along = is_host_scalar(*in);
        variant_.inputs.push_back(along ? ProgramVariant::given : ProgramVariant::one);
      } else if (dense || in_order) {
        variant_.inputs.push_back(ProgramVariant::in_order);
      } else {
        variant_.inputs.push_back(ProgramVariant::strided);
        strides.push_back(broadcast_strides(*in, shape));
      }
    }
    variant_.wide = static_cast<int64_t>(n_) >= narrow_limit;
    variant_.rank = 0;
    if (!strides.empty()) {
      for (auto& s : strides) {
        variant_.wide |= static_cast<int64_t>(layout_span(shape, s)) >= narrow_limit;
      }
      layout_ = collapse_dims(shape, std::move(strides));
      variant_.rank = rank_class(layout_.shape.size());
    }
  }

  void reorder_wide() {
    for (auto& in : inputs_) {
      if (in->flags().row_contiguous || in->size() < reorder_size) continue;
      int axis = static_cast<int>(in->ndim()) - 1;
      while (axis > 0 && in->shape(axis) == 1) --axis;
      if (std::abs(in->strides(axis)) > 1) {
        in = replace(contiguous(*in, stream_));
      }
    }
  }

  void read_addresses() {
    for (size_t i = 0; i < inputs_.size(); i++) {
      bool from_memory = !makes(i) && !is_host_scalar(*inputs_[i]);
      addresses_.push_back(from_memory ? input_address(*inputs_[i], stream_) : nullptr);
    }
  }

  void make_outputs() {
    for (auto& out : outputs_) {
      if (take_over_input(out)) continue;
      if (model_ && !model_->flags().row_contiguous) {
        allocate_output_like(out, *model_, stream_);
      } else {
        allocate_output(out, stream_);
      }
    }
  }

  // A pack is read before it is written, so any input that is walked in order will do. The lowest
  // in memory is taken: what is updated step by step, among temporaries, comes to rest then.
  bool take_over_input(array& out) {
    const array* lowest = nullptr;
    for (size_t i = 0; i < inputs_.size(); i++) {
      const array& in = *inputs_[i];
      bool fits = variant_.inputs[i] == ProgramVariant::in_order && in.shape() == out.shape() &&
                  can_donate(in, out) && in.buffer().device_memory();
      if (fits && (!lowest || place_of(in) < place_of(*lowest))) lowest = &in;
    }
    return lowest && write_over(*lowest, out, stream_);
  }

  static uintptr_t place_of(const array& a) {
    auto buffer = a.buffer();
    return reinterpret_cast<uintptr_t>(buffer.device_memory()->device_address());
  }

  int fitting_width() {
    size_t widest = 1;
    for (size_t i = 0; i < inputs_.size(); i++) {
      if (variant_.inputs[i] != ProgramVariant::in_order) continue;
      widest = std::max(widest, inputs_[i]->itemsize());
    }
    for (auto& out : outputs_) {
      widest = std::max(widest, out.itemsize());
    }
    int width = static_cast<int>(16 / widest);
    bool whole_rows = !variant_.rank || layout_.shape.back() % width == 0;
    bool whole_halves = !is_paired() || n_ % (2 * width) == 0;
    return places() % width == 0 && whole_rows && whole_halves ? width : 1;
  }

  /** Where what is walked in order begins, in elements, all of them or-ed. */
  uint64_t places() const {
    uint64_t all = 0;
    if (is_ahead_) return all;
    for (size_t i = 0; i < inputs_.size(); i++) {
      if (variant_.inputs[i] != ProgramVariant::in_order) continue;
      all |= reinterpret_cast<uint64_t>(addresses_[i]) / inputs_[i]->itemsize();
    }
    for (auto& out : outputs_) {
      all |= reinterpret_cast<uint64_t>(output_address(out)) / out.itemsize();
    }
    return all;
  }

  /** As wide as fits, unless too few threads would be left. */
  void choose_width() {
    int width = fitting_width();
    bool fills = static_cast<int64_t>(n_) >= int64_t{width} * 132 * program_threads;
    variant_.width = fills ? width : 1;
  }

  void add_arrays(Parameters& parameters) {
    for (size_t i = 0; i < inputs_.size(); i++) {
      if (makes(i)) {
        parameters.add_struct(key_operand(*inputs_[i], stream_));
        continue;
      }
      parameters.add(addresses_[i]);
      if (addresses_[i]) {
        parameters.add(int64_t{0});
      } else {
        parameters.add_value(inputs_[i]->data<char>(), inputs_[i]->itemsize());
      }
    }
    for (auto& out : outputs_) {
      parameters.add(output_address(out));
    }
  }

  Kernel kernel() const { return ProgramKernels::instance().find(program_, variant_, stream_); }

  unsigned blocks_of(int64_t elements) const {
    return blocks_for(elements, int64_t{variant_.width} * program_threads);
  }

  const Program& program_;
  SmallVector<const array*, 16> inputs_;
  std::span<array> outputs_;
  const Stream& stream_;
  size_t n_;
  const array* model_ = nullptr;
  ProgramVariant variant_;
  CollapsedLayout layout_;
  SmallVector<const void*, 16> addresses_;
  const std::vector<bool>& generated_;
  bool is_ahead_;
  std::vector<array> replaced_;
};

Program program_of(const Elementwise& primitive, const std::vector<array>& inputs) {
  Program program;
  for (auto& in : inputs) {
    program.inputs.push_back(in.dtype());
  }
  Dtype type = inputs[primitive.op() == ElementwiseOp::Select ? 1 : 0].dtype();
  Instruction step{primitive.op(), type, primitive.result()};
  for (size_t i = 0; i < inputs.size(); i++) {
    step.args[i] = static_cast<uint16_t>(i);
  }
  program.code.push_back(step);
  program.outputs = {static_cast<uint16_t>(inputs.size())};
  return program;
}

void eval_elementwise(Elementwise& primitive, const std::vector<array>& inputs,
                      std::vector<array>& outputs) {
  run_program(program_of(primitive, inputs), inputs, outputs, primitive.stream());
}

void eval_fused(Fused& step, const std::vector<array>& inputs, std::vector<array>& outputs) {
  if (step.has_root() && step.recipe().has_prologue()) {
    run_residual_norm(step, inputs, outputs);
    return;
  }
  if (step.has_root() && typeid(step.root()) == typeid(NormBackward)) {
    run_added_norm_gradient(step, inputs, outputs);
    return;
  }
  if (step.has_root()) {
    run_rectified_product(step, inputs, outputs);
    return;
  }
  const Program& program = step.recipe().prologue;
  const auto& generated = step.recipe().generated;
  const Stream& s = step.stream();
  if (generated.empty() || fits_one_kernel(program)) {
    run_program(program, inputs, outputs, s, generated);
    return;
  }
  std::vector<array> values = inputs;
  for (size_t i = 0; i < values.size(); i++) {
    if (generated[i]) values[i] = random_words(values[i], outputs[0].shape(), s);
  }
  run_program(program, values, outputs, s);
}

void foresee_program(const Program& program, std::span<const array> inputs,
                     const std::vector<array>& outputs, const Stream& s,
                     const std::vector<bool>& generated = {}, bool joins = false) {
  if (!fits_one_kernel(program)) return;
  std::vector<array> made = outputs;
  Run(program, inputs, made, s, generated, /*is_ahead=*/true).foresee(joins);
}

void foresee_elementwise(const Elementwise& primitive, const std::vector<array>& inputs,
                         const std::vector<array>& outputs) {
  foresee_program(program_of(primitive, inputs), inputs, outputs, primitive.stream());
}

void foresee_fused(const Fused& step, const std::vector<array>& inputs,
                   const std::vector<array>& outputs) {
  if (step.has_root()) {
    foresee(step.root(), inputs, outputs);
    return;
  }
  const auto& recipe = step.recipe();
  foresee_program(recipe.prologue, inputs, outputs, step.stream(), recipe.generated);
}

const Register<Elementwise> elementwise(eval_elementwise, nullptr, foresee_elementwise);
const Register<Fused> fused(eval_fused, nullptr, foresee_fused);

}  // namespace

int rank_class(size_t rank) {
  for (int known : {1, 2, 3, 4, 6, 8, 12}) {
    if (rank <= static_cast<size_t>(known)) {
      return known;
    }
  }
  fail(OpScope::current(), "Arrays that walk memory in ", rank,
       " dimensions are not available on the GPU in this version; run it with stream=mx.cpu.");
}

void run_kernel(const Program& program, const std::vector<array>& inputs,
                std::vector<array>& outputs, const Stream& s, const std::vector<bool>& generated) {
  Run(program, inputs, outputs, s, generated).execute();
}

size_t most_joined(const Program& program) {
  bool pays = fits_one_kernel(program) && most_parts(program) > 1;
  return pays ? 64 : 1;
}

void foresee_joined_programs(const JoinedPart& part, const Stream& s) {
  std::vector<array> outputs(part.outputs.begin(), part.outputs.end());
  const Program& program = static_cast<Fused&>(part.primitive).recipe().prologue;
  foresee_program(program, part.inputs, outputs, s, {}, /*joins=*/true);
}

void run_joined_programs(const std::vector<JoinedPart>& parts, const Stream& s) {
  static const auto* none = new std::vector<bool>;
  const Program& program = static_cast<Fused&>(parts[0].primitive).recipe().prologue;
  auto most = static_cast<size_t>(most_parts(program));
  std::list<Run> runs;
  std::vector<Run*> waiting;  // parts that walk alike
  auto start_waiting = [&] {
    for (size_t first = 0; first < waiting.size(); first += most) {
      size_t count = std::min(most, waiting.size() - first);
      Run::start_joined(std::span(waiting).subspan(first, count));
    }
    waiting.clear();
  };
  for (auto& part : parts) {
    Run& run = runs.emplace_back(program, part.inputs, part.outputs, s, *none);
    bool joins = false;
    run_apart({part}, [&](const JoinedPart&) {
      joins = run.prepare_part();
      if (!joins && part.outputs[0].size() > 0) run.start();
    });
    if (!joins) continue;
    if (!waiting.empty() && !waiting[0]->walks_like(run)) start_waiting();
    waiting.push_back(&run);
  }
  start_waiting();
}

void run_program(const Program& program, const std::vector<array>& inputs,
                 std::vector<array>& outputs, const Stream& s, const std::vector<bool>& generated) {
  if (fits_one_kernel(program)) {
    run_kernel(program, inputs, outputs, s, generated);
  } else {
    run_in_parts(program, inputs, outputs, s);
  }
}

}  // namespace mlx::core::cuda
