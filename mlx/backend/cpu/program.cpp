// The interpreter of fused programs. A run binds every value of the program to memory: inputs and
// outputs in place where their layout allows, everything else to buffers of one tile; then each
// thread walks its tiles and calls one kernel per instruction.
#include "mlx/backend/cpu/program.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>

#include "mlx/backend/cpu/copy.h"
#include "mlx/backend/cpu/program_plan.h"
#include "mlx/backend/cpu/program_walk.h"
#include "mlx/core/errors.h"
#include "mlx/core/layout.h"
#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

namespace {

/** Memory of one value: element i of the iteration space is at base + i * step. */
struct Operand {
  char* base;
  int64_t step;
};

/** An output that is computed in a buffer and then streamed out. */
struct Staged {
  uint16_t value;
  uint8_t size;
  char* target;
};

constexpr int64_t cache_budget = 24 << 10;
constexpr int64_t smallest_tile = 128, largest_tile = 4096;
/** What is streamed out in one go: meanwhile nothing is read. */
constexpr int64_t largest_staged_tile = 768;
/** Work per thread that outweighs handing it over, in units of ProgramPlan::cost. */
constexpr int64_t grain_cost = 100000;

int64_t round_up(int64_t x, int64_t to) { return (x + to - 1) / to * to; }

/** Buffers of one thread, kept between runs. */
class Scratch {
 public:
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { release(); }

  /** The buffers; what they held for `owner` (not 0) is still there if `is_kept` then. */
  char* get(size_t bytes, uint64_t owner) {
    owner_ = owner;
    if (bytes > size_) {
      release();
      data_ = static_cast<char*>(::operator new(bytes, std::align_val_t(64)));
      size_ = bytes;
    }
    return data_;
  }
  bool is_kept(uint64_t owner) const { return owner_ == owner; }
  char* kept() const { return data_; }

 private:
  void release() {
    if (data_) ::operator delete(data_, std::align_val_t(64));
    data_ = nullptr;
    size_ = 0;
  }
  char* data_ = nullptr;
  size_t size_ = 0;
  uint64_t owner_ = 0;
};

thread_local Scratch scratch;

uint64_t next_id() {
  static std::atomic<uint64_t> last{0};
  return ++last;
}

class Run {
 public:
  /** Where the first input is given with each read, it is not among `inputs`. */
  Run(const Program& program, const ProgramPlan& plan, const std::vector<array>& inputs,
      std::vector<array>& outputs, bool first_is_given = false)
      : program_(program),
        plan_(plan),
        outputs_(outputs),
        n_(outputs[0].size()),
        given_(first_is_given ? 1 : 0) {
    internal_check(
        inputs.size() + given_ == program.inputs.size() && outputs.size() == program.outputs.size(),
        "program run with the wrong number of arrays");
    inputs_.reserve(program.inputs.size());
    if (first_is_given) inputs_.push_back(nullptr);
    for (const auto& in : inputs) inputs_.push_back(&in);
  }

  void execute() {
    if (n_ == 0) {
      for (auto& out : outputs_) out.set_data(allocator::malloc(0));
      return;
    }
    operands_.resize(plan_.slot.size(), Operand{nullptr, 0});
    bool dense = has_common_layout();
    if (!dense) copy_wide_strides();
    bind_inputs(dense);
    allocate_outputs();
    if (!strided_.empty()) walk_.prepare(outputs_[0].shape(), inputs_, strided_);
    choose_tile();
    int64_t tiles = (n_ + tile_ - 1) / tile_;
    int64_t grain = std::max<int64_t>(1, grain_cost / (plan_.cost * tile_ + 1));
    if (tiles <= grain) {
      run_range(0, n_);
    } else {
      parallel_for(tiles, std::max<int64_t>(1, grain / 4), [this](int64_t begin, int64_t end) {
        run_range(begin * tile_, std::min(end * tile_, n_));
      });
    }
  }

  /** Binds all but the output, for `read`. */
  void prepare_reads() {
    operands_.resize(plan_.slot.size(), Operand{nullptr, 0});
    bool in_order = has_common_layout() && (!model_ || model_->flags().row_contiguous);
    if (!in_order) copy_wide_strides();
    bind_inputs(in_order);
    if (!strided_.empty()) walk_.prepare(outputs_[0].shape(), inputs_, strided_);
    choose_tile();
  }

  /** Computes the output's elements [begin, begin + count) in row-major order, where the first
   *  input has these elements if it is given. */
  void read(int64_t begin, int64_t count, const char* first, char* out) const {
    Operand* ops = bound();
    auto size = static_cast<int64_t>(outputs_[0].itemsize());
    ops[program_.outputs[0]] = {out - begin * size, size};
    if (given_) {
      auto first_size = static_cast<int64_t>(program_.inputs[0].size());
      ops[0] = {const_cast<char*>(first) - begin * first_size, first_size};
    }
    run_tiles(ops, begin, begin + count);
  }

 private:
  /** Whether every input that is not a scalar has one and the same dense layout. */
  bool has_common_layout() {
    const auto& shape = outputs_[0].shape();
    for (const array* in : inputs_) {
      if (!in || in->size() == 1) continue;
      if (in->shape() != shape || !in->flags().contiguous || in->data_size() != in->size()) {
        return false;
      }
      bool same = model_ == nullptr ||
                  (in->flags().row_contiguous && model_->flags().row_contiguous) ||
                  in->strides() == model_->strides();
      if (!same) return false;
      if (model_ == nullptr) model_ = in;
    }
    return true;
  }

  /** Large inputs that jump a cache line per element are put in order first, by the blocked copy.
   */
  void copy_wide_strides() {
    model_ = nullptr;
    owned_.reserve(inputs_.size());
    for (auto& in : inputs_) {
      if (!in || in->flags().row_contiguous || in->size() < (1 << 14)) continue;
      int axis = static_cast<int>(in->ndim()) - 1;
      while (axis > 0 && in->shape(axis) == 1) --axis;
      if (std::abs(in->strides(axis)) * static_cast<int64_t>(in->itemsize()) < 64) continue;
      owned_.push_back(contiguous(*in));
      in = &owned_.back();
    }
  }

  void bind_inputs(bool dense) {
    const auto& shape = outputs_[0].shape();
    for (size_t i = given_; i < inputs_.size(); ++i) {
      const array& in = *inputs_[i];
      auto value = static_cast<uint16_t>(i);
      auto* data = const_cast<char*>(in.data<char>());
      bool in_order = in.flags().row_contiguous && in.shape() == shape;
      if (n_ == 1 || in_order || (dense && in.size() > 1)) {
        operands_[i] = {data, static_cast<int64_t>(in.itemsize())};
      } else if (in.size() == 1) {
        bind_scalar(value, data, in.itemsize());
      } else {
        strided_.push_back({value, static_cast<uint8_t>(in.itemsize()), data});
      }
    }
  }

  /** Scalars of equal bytes share one buffer. */
  void bind_scalar(uint16_t value, const char* data, size_t size) {
    size_t first = splats_.size() > 32 ? splats_.size() - 32 : 0;
    size_t buffer = splats_.size();
    for (size_t s = first; s < splats_.size(); ++s) {
      if (splats_[s].size == size && std::memcmp(splats_[s].data, data, size) == 0) {
        buffer = s;
        break;
      }
    }
    if (buffer == splats_.size()) splats_.push_back({data, static_cast<uint8_t>(size)});
    splatted_.push_back({value, static_cast<uint16_t>(buffer)});
  }

  void allocate_outputs() {
    for (size_t o = 0; o < outputs_.size(); ++o) {
      auto& out = outputs_[o];
      bool donated = donate(out, plan_.made_by[o]);
      if (!donated && model_ && !model_->flags().row_contiguous) {
        out.set_data(allocator::malloc(out.nbytes()), n_, model_->strides(), model_->flags());
      } else if (!donated) {
        out.set_data(allocator::malloc(out.nbytes()));
      }
      if (plan_.made_by[o] < 0) continue;
      uint16_t value = program_.outputs[o];
      auto size = static_cast<uint8_t>(out.itemsize());
      operands_[value] = {out.data<char>(), size};
      if (!donated && out.nbytes() >= stream_threshold) {
        staged_.push_back({value, size, out.data<char>()});
      }
    }
  }

  /** Takes over the buffer of an input that is read in place and not after this output is made. */
  bool donate(array& out, int made_by) {
    if (made_by < 0) return false;
    for (size_t i = 0; i < inputs_.size(); ++i) {
      if (operands_[i].step == 0 || plan_.last_read[i] > made_by) continue;
      const array& in = *inputs_[i];
      if (in.shape() == out.shape() && write_over(in, out)) return true;
    }
    return false;
  }

  void choose_tile() {
    int64_t bytes = 0;
    for (uint8_t size : plan_.slot_size) bytes += size;
    for (const auto& splat : splats_) bytes += splat.size;
    for (const auto& in : strided_) bytes += in.size;
    for (const auto& out : staged_) bytes += out.size;
    bool one_call = bytes == 0 && plan_.steps.size() == 1;
    int64_t in_place = 4 * static_cast<int64_t>(inputs_.size() + outputs_.size());
    tile_ = one_call ? 4 * largest_tile
                     : std::clamp(cache_budget / std::max<int64_t>(1, bytes + in_place / 2),
                                  smallest_tile, largest_tile);
    if (!staged_.empty()) tile_ = std::min(tile_, largest_staged_tile);
    tile_ = std::min(round_up(tile_, 64), round_up(n_, 64));
  }

  /** The thread's buffers, laid out and filled once for all that it computes of this run. */
  Operand* bound() const {
    if (scratch.is_kept(id_)) return reinterpret_cast<Operand*>(scratch.kept());
    return bind_buffers(scratch.get(scratch_bytes(), id_));
  }

  /** Lays the buffers out and points the values there. */
  Operand* bind_buffers(char* free) const {
    auto* ops = reinterpret_cast<Operand*>(free);
    std::copy(operands_.begin(), operands_.end(), ops);
    free += round_up(operands_.size() * sizeof(Operand), 64);
    auto take = [&](int64_t size) {
      char* buffer = free;
      free += round_up(tile_ * size, 64);
      return buffer;
    };
    char* slots = free;
    int64_t slot_bytes = 0;
    for (uint8_t size : plan_.slot_size) slot_bytes = std::max<int64_t>(slot_bytes, size);
    slot_bytes = round_up(tile_ * slot_bytes, 64);
    free += slot_bytes * plan_.slot_size.size();
    for (size_t v = inputs_.size(); v < plan_.slot.size(); ++v) {
      if (plan_.slot[v] >= 0) ops[v] = {slots + slot_bytes * plan_.slot[v], 0};
    }
    SmallVector<char*, 16> splat_buffers;
    for (const auto& splat : splats_) {
      splat_buffers.push_back(take(splat.size));
      fill_row(splat_buffers.back(), splat.data, tile_, splat.size);
    }
    for (const auto& s : splatted_) ops[s.value] = {splat_buffers[s.buffer], 0};
    for (const auto& in : strided_) ops[in.value] = {take(in.size), 0};
    for (const auto& out : staged_) ops[out.value] = {take(out.size), 0};
    return ops;
  }

  int64_t scratch_bytes() const {
    int64_t bytes = round_up(operands_.size() * sizeof(Operand), 64) + 64;
    uint8_t largest = 0;
    for (uint8_t size : plan_.slot_size) largest = std::max(largest, size);
    bytes += round_up(tile_ * largest, 64) * plan_.slot_size.size();
    for (const auto& splat : splats_) bytes += round_up(tile_ * splat.size, 64);
    for (const auto& in : strided_) bytes += round_up(tile_ * in.size, 64);
    for (const auto& out : staged_) bytes += round_up(tile_ * out.size, 64);
    return bytes;
  }

  void run_range(int64_t begin, int64_t end) const {
    run_tiles(bound(), begin, end);
    if (!staged_.empty()) stream_fence();
  }

  void run_tiles(Operand* ops, int64_t begin, int64_t end) const {
    StridedWalk::Position position;
    if (!strided_.empty()) {
      position = walk_.start(begin);
      for (size_t s = 0; s < strided_.size(); ++s) {
        position.buffers.push_back(ops[strided_[s].value].base);
      }
    }
    for (int64_t i = begin; i < end;) {
      int64_t count = std::min(tile_, end - i);
      if (!strided_.empty()) {
        count = walk_.next(position, count);
        for (size_t s = 0; s < strided_.size(); ++s) {
          ops[strided_[s].value].base = position.tile[s];
        }
      }
      run_tile(ops, i, count);
      i += count;
    }
    for (size_t s = 0; s < strided_.size(); ++s) {  // where the buffers are, for the next range
      ops[strided_[s].value].base = position.buffers[s];
    }
  }

  void run_tile(const Operand* ops, int64_t i, int64_t count) const {
    auto at = [ops, i](uint16_t value) { return ops[value].base + i * ops[value].step; };
    for (const auto& step : plan_.steps) {
      step.kernel(at(step.dst), at(step.a), at(step.b), at(step.c), count);
    }
    for (const auto& out : staged_) {
      stream_bytes(out.target + i * out.size, ops[out.value].base, count * out.size);
    }
    for (const auto& copy : plan_.copies) {
      auto size = static_cast<int64_t>(outputs_[copy.output].itemsize());
      std::memcpy(outputs_[copy.output].data<char>() + i * size, at(copy.value), count * size);
    }
  }

  struct Splat {
    const char* data;
    uint8_t size;
  };
  struct Splatted {
    uint16_t value;
    uint16_t buffer;
  };

  const Program& program_;
  const ProgramPlan& plan_;
  SmallVector<const array*, 16> inputs_;
  std::vector<array>& outputs_;
  std::vector<array> owned_;
  int64_t n_;
  size_t given_;  // inputs at the front that reads are given
  int64_t tile_ = 0;
  uint64_t id_ = next_id();  // tells whose bindings a thread's scratch holds
  /** The input whose dense layout the outputs take, if all inputs agree on one. */
  const array* model_ = nullptr;
  SmallVector<Operand, 48> operands_;
  SmallVector<Splat, 16> splats_;
  SmallVector<Splatted, 16> splatted_;
  SmallVector<StridedInput, 8> strided_;
  SmallVector<Staged, 4> staged_;
  StridedWalk walk_;
};

/** The program of one op, made at the first use and kept for good. */
const Program& program_of(ElementwiseOp op, Dtype in, Dtype out) {
  constexpr int types = Dtype::count;
  static std::atomic<const Program*> known[elementwise_op_count][types][types];
  auto& slot = known[static_cast<int>(op)][static_cast<int>(in.val())][static_cast<int>(out.val())];
  if (const Program* made = slot.load(std::memory_order_acquire)) return *made;
  auto* made = new Program;
  int arity = elementwise_info(op).arity;
  made->inputs.assign(arity, in);
  if (op == ElementwiseOp::Select) made->inputs[0] = bool_;
  made->code.push_back({op, in, out});
  for (int i = 0; i < arity; ++i) made->code[0].args[i] = static_cast<uint16_t>(i);
  made->outputs.push_back(static_cast<uint16_t>(arity));
  const Program* expected = nullptr;
  if (slot.compare_exchange_strong(expected, made, std::memory_order_acq_rel)) return *made;
  delete made;
  return *expected;
}

}  // namespace

class ProgramSource::Reader {
 public:
  Reader(const Program& program, const std::vector<array>& inputs, const Shape& shape,
         bool first_is_given)
      : plan_(plan_of(program)),
        outputs_{array(shape, program.type_of(program.outputs[0]), nullptr, {})},
        run_(program, *plan_, inputs, outputs_, first_is_given) {
    internal_check(program.outputs.size() == 1 && program.outputs[0] >= program.inputs.size(),
                   "a source has one output, and computes it");
    if (outputs_[0].size() > 0) run_.prepare_reads();
  }
  const Run& run() const { return run_; }

 private:
  std::shared_ptr<const ProgramPlan> plan_;
  std::vector<array> outputs_;  // for the shape and the dtype only
  Run run_;
};

ProgramSource::ProgramSource(const Program& program, const std::vector<array>& inputs,
                             const Shape& shape)
    : reader_(std::make_unique<Reader>(program, inputs, shape, false)) {}

ProgramSource::ProgramSource(const Program& program, const std::vector<array>& others,
                             const Shape& shape, FirstIsGiven)
    : reader_(std::make_unique<Reader>(program, others, shape, true)) {}

ProgramSource::~ProgramSource() = default;

void ProgramSource::read(int64_t begin, int64_t count, void* out) const {
  reader_->run().read(begin, count, nullptr, static_cast<char*>(out));
}

void ProgramSource::read(int64_t begin, int64_t count, const void* first, void* out) const {
  reader_->run().read(begin, count, static_cast<const char*>(first), static_cast<char*>(out));
}

void run_program(const Program& program, const std::vector<array>& inputs,
                 std::vector<array>& outputs) {
  auto plan = plan_of(program);
  Run(program, *plan, inputs, outputs).execute();
}

void run_elementwise(ElementwiseOp op, const std::vector<array>& inputs,
                     std::vector<array>& outputs) {
  run_program(program_of(op, inputs.back().dtype(), outputs[0].dtype()), inputs, outputs);
}

}  // namespace mlx::core::cpu
