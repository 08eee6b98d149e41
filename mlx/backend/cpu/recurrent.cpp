// Recurrent layers on the CPU. The weight is packed once for all steps. Threads take rows of the
// batch through all steps on their own; where rows are few, or the weight is more than what a
// core's own cache holds, they share the units of a step and wait for each other after it. The sums
// of a tile meet the rest of the step while they are in the first cache.
#include "mlx/primitives/recurrent.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "mlx/backend/cpu/copy.h"
#include "mlx/backend/cpu/gemm/gemm.h"
#include "mlx/backend/cpu/recurrent_kernels.h"
#include "mlx/backend/cpu/registry.h"
#include "mlx/backend/cpu/runtime/team.h"
#include "mlx/backend/cpu/tile.h"
#include "mlx/core/denormals.h"
#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

namespace {

/** The packed weight that one core shall go through in each step, and the rows it shall take. */
constexpr int64_t own_weight = 1 << 20, most_rows = 96;

template <typename T>
const RecurrentKernel<T>& kernel_for() {
  if constexpr (std::is_same_v<T, double>) {
    return recurrent_table().f64;
  } else {
    return recurrent_table().f32;
  }
}

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/** A share of something that is cut into `parts`, as even as it gets. */
struct Share {
  int64_t begin, end;
  Share(int64_t n, int64_t part, int64_t parts)
      : begin(n * part / parts), end(n * (part + 1) / parts) {}
  int64_t size() const { return end - begin; }
};

/** Rows of the batch: `states` is (..., L, H), and not empty but perhaps for L. */
int64_t rows_of(const array& states) {
  int64_t rows = 1;
  for (int i = 0; i < static_cast<int>(states.ndim()) - 2; i++) rows *= states.shape(i);
  return rows;
}

struct Deleter {
  void operator()(char* data) const { ::operator delete (data, std::align_val_t{64}); }
};
using Memory = std::unique_ptr<char, Deleter>;

Memory aligned_memory(int64_t bytes) {
  return Memory(
      static_cast<char*>(::operator new (static_cast<size_t>(bytes), std::align_val_t{64})));
}

/** The weight as panels of `width` units, `gates` panels for each block of units. */
class PackedWeight {
 public:
  /** Gate g of unit u is the vector that starts at `data` + g * gate_stride + u * unit_stride. */
  PackedWeight(const array& weight, int gates, int64_t units, int64_t depth, int64_t gate_stride,
               int64_t unit_stride, int64_t depth_stride)
      : kernels(vector_gemm_kernels(weight.dtype())),
        gates(gates),
        units(units),
        depth(depth),
        vectors(units > kernels.lanes ? 2 : 1),
        width(vectors * kernels.lanes),
        blocks(ceil_div(units, width)),
        steps(ceil_div(depth, kernels.unit)),
        panel_bytes_(steps * width * kernels.packed_size),
        memory_(aligned_memory(blocks * gates * panel_bytes_ + 64)) {
    const char* data = weight.data<char>();
    parallel_for(blocks * gates, std::max<int64_t>(1, (1 << 16) / panel_bytes_),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t i = begin; i < end; i++) {
                     int64_t unit = i / gates * width, gate = i % gates;
                     int64_t first = gate * gate_stride + unit * unit_stride;
                     pack_panel(kernels, memory_.get() + i * panel_bytes_, width,
                                data + first * kernels.source_size, unit_stride, depth_stride,
                                static_cast<int>(std::min<int64_t>(width, units - unit)), depth);
                   }
                 });
  }

  const char* panel(int64_t block, int gate) const {
    return memory_.get() + (block * gates + gate) * panel_bytes_;
  }
  int64_t bytes() const { return blocks * gates * panel_bytes_; }

  const GemmKernels& kernels;
  int gates;
  int64_t units, depth;
  int vectors, width;
  int64_t blocks, steps;

 private:
  int64_t panel_bytes_;
  Memory memory_;
};

/** An array (rows, L, parts H) or, without steps, (rows, parts H). */
struct Sequence {
  char* data = nullptr;
  int64_t row = 0, step = 0;  // strides in elements

  Sequence() = default;
  Sequence(const array& a, bool has_steps)
      : data(const_cast<array&>(a).data<char>()),
        row(a.shape(-1) * (has_steps ? static_cast<int64_t>(a.shape(-2)) : 1)),
        step(has_steps ? a.shape(-1) : 0) {}

  explicit operator bool() const { return data != nullptr; }
};

/** Parts of sequences as views of T: the memory itself, or a copy of a tile where the dtype is
 *  another one. */
template <typename T>
class Stage {
 public:
  Stage(Dtype dtype, int64_t units, int width)
      : itemsize_(dtype.size()),
        load_(tile_load(dtype)),
        store_(tile_store(dtype)),
        direct_(dtype == stored_dtype<T>),
        units_(units),
        width_(width) {}

  static constexpr int slots = 10;

  int64_t buffer_size(int64_t rows) const { return direct_ ? 0 : slots * 4 * rows * width_; }

  struct Tile {
    int64_t first_row, rows, unit, count;
    T* buffer;  // of this thread, as long as buffer_size
    int used = 0;
  };

  RecurrentView<const T> read(Tile& tile, const Sequence& from, int64_t t, int parts = 1) const {
    RecurrentView<T> view = view_of(tile, from, t);
    for (int64_t i = 0; !direct_ && i < tile.rows * parts; i++) {
      load_(address(tile, from, t, i), 1, view.data + i * width_, 1, tile.count);
    }
    return {view.data, view.row_stride, view.part_stride};
  }
  RecurrentView<T> target(Tile& tile, const Sequence& to, int64_t t) const {
    return view_of(tile, to, t);
  }
  /** After the kernel wrote the view of a target. */
  void write(const Tile& tile, const RecurrentView<T>& view, const Sequence& to, int64_t t,
             int parts = 1) const {
    for (int64_t i = 0; !direct_ && i < tile.rows * parts; i++) {
      store_(view.data + i * width_, 1, address(tile, to, t, i), 1, tile.count);
    }
  }

 private:
  RecurrentView<T> view_of(Tile& tile, const Sequence& s, int64_t t) const {
    if (direct_) return {reinterpret_cast<T*>(address(tile, s, t, 0)), s.row, units_};
    T* data = tile.buffer + tile.used++ * 4 * tile.rows * width_;
    return {data, width_, tile.rows * width_};
  }
  /** Of line i of the tile, all rows of a part one after the other. */
  char* address(const Tile& tile, const Sequence& s, int64_t t, int64_t i) const {
    int64_t row = tile.first_row + i % tile.rows, part = i / tile.rows;
    return s.data + (row * s.row + t * s.step + part * units_ + tile.unit) * itemsize_;
  }

  int64_t itemsize_;
  TileCopy load_, store_;
  bool direct_;
  int64_t units_;
  int width_;
};

/** What forward and backward share: how rows and units are dealt out, and the sums of a tile. */
template <typename T>
class Loop {
 protected:
  using Tile = typename Stage<T>::Tile;

  Loop(const PackedWeight& weight, Dtype dtype, int64_t rows, int64_t length)
      : weight_(weight),
        rows_(rows),
        length_(length),
        units_(weight.units),
        stage_(dtype, weight.units, weight.width),
        zeros_(static_cast<size_t>(4 * weight.width), T(0)) {}

  /** Rows and blocks of units of one thread, and its memory. */
  struct Part {
    Share rows, blocks;
    int64_t panels;  // of the rows
    char* packed;
    T *sums, *buffer, *sink;
  };

  /** Calls run(part, finish_step) for each part of the work, at once where steps need each other.
   */
  template <typename F>
  void deal(F&& run) {
    int64_t threads = num_threads();
    int64_t shares = std::max(ceil_div(weight_.bytes(), own_weight), ceil_div(threads, rows_));
    shares = std::min({shares, weight_.blocks, threads});
    if (length_ * rows_ * weight_.bytes() < (1 << 20)) shares = threads = 1;
    if (shares == 1) {
      int64_t parts = std::max(std::min(threads, rows_), ceil_div(rows_, most_rows));
      parallel_for(parts, 1, [&](int64_t begin, int64_t end) {
        Memory memory = aligned_memory(part_bytes(ceil_div(rows_, parts)));
        for (int64_t i = begin; i < end; i++) {
          run(part(Share(rows_, i, parts), Share(weight_.blocks, 0, 1), memory.get()), [] {});
        }
      });
      return;
    }
    int64_t most = part_bytes(rows_);
    std::vector<Memory> memories;
    for (int64_t i = 0; i < threads; i++) memories.push_back(aligned_memory(most));
    parallel_team(static_cast<int>(threads), [&](int member, Team& team) {
      int64_t columns = std::min<int64_t>(shares, team.size());
      int64_t lines = std::min<int64_t>(rows_, team.size() / columns);
      bool idle = member >= columns * lines;
      auto finish_step = [&] { team.wait(); };
      run(part(idle ? Share(0, 0, 1) : Share(rows_, member / columns, lines),
               idle ? Share(0, 0, 1) : Share(weight_.blocks, member % columns, columns),
               memories[member].get()),
          finish_step);
    });
  }

  int panel_rows(const Part& part, int64_t panel) const {
    return static_cast<int>(Share(part.rows.size(), panel, part.panels).size());
  }
  Tile tile_of(const Part& part, int64_t panel, int64_t block) const {
    Share rows(part.rows.size(), panel, part.panels);
    int64_t unit = block * weight_.width;
    return {part.rows.begin + rows.begin, rows.size(), unit,
            std::min<int64_t>(weight_.width, units_ - unit), part.buffer};
  }

  /** Packs what multiplies the weight: `depth` values of each row from `from`. A second piece of
   *  the depth starts at `offset`, a multiple of the kernels' unit. */
  void pack(const Part& part, const Sequence& from, int64_t t, int64_t depth,
            int64_t offset = 0) const {
    const GemmKernels& k = weight_.kernels;
    for (int64_t panel = 0; panel < part.panels; panel++) {
      Share rows(part.rows.size(), panel, part.panels);
      const void* lines[64];
      for (int64_t r = 0; r < rows.size(); r++) {
        int64_t row = part.rows.begin + rows.begin + r;
        lines[r] = from.data + (row * from.row + t * from.step) * k.source_size;
      }
      int width = static_cast<int>(rows.size());
      char* to = part.packed + panel * panel_bytes() + offset / k.unit * width * k.packed_size;
      k.pack_rows(to, width, lines, width, depth);
    }
  }

  /** The sums of a tile for each gate; zeros where `packed` is false. */
  RecurrentView<const T> sums_of(const Part& part, int64_t panel, int64_t block,
                                 bool packed) const {
    if (!packed) return {zeros_.data(), 0, 0};
    int rows = panel_rows(part, panel);
    const GemmKernels& k = weight_.kernels;
    MicroKernel micro = k.micro[(weight_.vectors - 1) * k.rows + rows - 1];
    int64_t gate_stride = int64_t{rows} * weight_.width;
    for (int gate = 0; gate < weight_.gates; gate++) {
      micro(weight_.steps, part.packed + panel * panel_bytes(), weight_.panel(block, gate),
            part.sums + gate * gate_stride, weight_.width, false);
    }
    return {part.sums, weight_.width, gate_stride};
  }

  /** The sequence, or rows of zeros. */
  RecurrentView<const T> read_or_zeros(Tile& tile, const Sequence& from, int64_t t) const {
    if (from) return stage_.read(tile, from, t);
    return {zeros_.data(), 0, 0};
  }

  const PackedWeight& weight_;
  int64_t rows_, length_, units_;
  Stage<T> stage_;

 private:
  int64_t panel_bytes() const {
    const GemmKernels& k = weight_.kernels;
    return weight_.steps * k.rows * k.packed_size + 64;
  }
  int64_t tile_values() const { return int64_t{4} * weight_.kernels.rows * weight_.width; }
  int64_t panels_of(int64_t rows) const { return ceil_div(rows, weight_.kernels.rows); }
  int64_t packed_bytes(int64_t rows) const {
    return ceil_div(panels_of(rows) * panel_bytes(), 64) * 64;
  }

  int64_t part_bytes(int64_t rows) const {
    int64_t values = 2 * tile_values() + stage_.buffer_size(weight_.kernels.rows);
    return packed_bytes(rows) + values * static_cast<int64_t>(sizeof(T)) + 64;
  }
  Part part(Share rows, Share blocks, char* memory) const {
    T* values = reinterpret_cast<T*>(memory + packed_bytes(rows.size()));
    return {rows,
            blocks,
            std::max<int64_t>(1, panels_of(rows.size())),
            memory,
            values,
            values + 2 * tile_values(),
            values + tile_values()};
  }

  std::vector<T> zeros_;
};

template <typename T>
class Forward : Loop<T> {
  using Base = Loop<T>;
  using typename Base::Part;
  using typename Base::Tile;

 public:
  Forward(const RecurrentSpec& spec, const std::vector<array>& inputs, std::vector<array>& outputs,
          bool keeps, const PackedWeight& weight)
      : Base(weight, inputs[0].dtype(), rows_of(outputs[0]), inputs[0].shape(-2)),
        spec_(spec),
        projections_(inputs[0], true),
        hidden_out_(outputs[0], true) {
    auto at = RecurrentBackward::inputs_of(spec);
    if (at.bias >= 0) {
      bias_ = Sequence(inputs[at.bias], false);
      bias_.row = 0;
    }
    if (at.hidden >= 0) hidden_ = Sequence(inputs[at.hidden], false);
    if (at.cell >= 0) cell_ = Sequence(inputs[at.cell], false);
    if (spec.has_cells()) cell_out_ = Sequence(outputs[1], true);
    if (keeps) kept_ = Sequence(outputs.back(), true);
  }

  void run() {
    this->deal([this](const Part& part, auto&& finish_step) {
      for (int64_t t = 0; t < this->length_; t++) {
        const Sequence& before = t > 0 ? hidden_out_ : hidden_;
        if (before && part.rows.size()) this->pack(part, before, t - 1, this->units_);
        for (int64_t block = part.blocks.begin; block < part.blocks.end; block++) {
          for (int64_t panel = 0; panel < part.panels; panel++) step(part, panel, block, t);
        }
        finish_step();
      }
    });
  }

 private:
  void step(const Part& part, int64_t panel, int64_t block, int64_t t) const {
    Tile tile = this->tile_of(part, panel, block);
    auto& stage = this->stage_;
    const Sequence& hidden = t > 0 ? hidden_out_ : hidden_;
    const Sequence& cell = t > 0 ? cell_out_ : cell_;
    RecurrentStep<T> s{};
    s.rows = tile.rows;
    s.count = tile.count;
    s.sums = this->sums_of(part, panel, block, static_cast<bool>(hidden));
    s.projections = stage.read(tile, projections_, t, spec_.gates());
    s.hidden_out = stage.target(tile, hidden_out_, t);
    if (spec_.kind == RecurrentSpec::Gru) {
      s.bias = this->read_or_zeros(tile, bias_, 0);
      s.hidden = this->read_or_zeros(tile, hidden, t - 1);
    }
    if (cell) s.cell = stage.read(tile, cell, t - 1);
    if (cell_out_) s.cell_out = stage.target(tile, cell_out_, t);
    // What nobody reads is written over and over again in the cache.
    s.kept = {part.sink, 0, this->weight_.width};
    if (kept_) s.kept = stage.target(tile, kept_, t);
    kernel_for<T>().forward[spec_.kind](s);
    stage.write(tile, s.hidden_out, hidden_out_, t);
    if (cell_out_) stage.write(tile, s.cell_out, cell_out_, t);
    if (kept_) stage.write(tile, s.kept, kept_, t, spec_.kept());
  }

  const RecurrentSpec& spec_;
  Sequence projections_, bias_, hidden_, cell_, hidden_out_, cell_out_, kept_;
};

template <typename T>
class Backward : Loop<T> {
  using Base = Loop<T>;
  using typename Base::Part;
  using typename Base::Tile;

 public:
  Backward(const RecurrentSpec& spec, const std::vector<array>& inputs, std::vector<array>& outputs,
           const PackedWeight& weight, int64_t rows)
      : Base(weight, inputs[0].dtype(), rows, inputs[0].shape(-2)),
        spec_(spec),
        carry_(static_cast<size_t>(rows * weight.units), T(0)) {
    auto at = RecurrentBackward::inputs_of(spec);
    auto sequence = [&](int i, bool has_steps) {
      return i < 0 ? Sequence() : Sequence(inputs[i], has_steps);
    };
    hidden_ = sequence(at.hidden, false);
    cell_ = sequence(at.cell, false);
    hidden_cotangent_ = sequence(at.hidden_cotangent, true);
    cell_cotangent_ = sequence(at.cell_cotangent, true);
    hiddens_ = sequence(at.hiddens, true);
    cells_ = sequence(at.cells, true);
    kept_ = sequence(at.kept, true);
    size_t next = 0;
    projections_grad_ = Sequence(outputs[next++], true);
    if (spec.kind == RecurrentSpec::Gru) recurrent_grad_ = Sequence(outputs[next++], true);
    if (spec.has_hidden) hidden_grad_ = Sequence(outputs[next++], false);
    if (spec.has_cell) cell_grad_ = Sequence(outputs[next++], false);
  }

  void run() {
    this->deal([this](const Part& part, auto&& finish_step) {
      for (int64_t t = this->length_ - 1; t >= 0; t--) {
        pack_gradients(part, t + 1);
        for (int64_t block = part.blocks.begin; block < part.blocks.end; block++) {
          for (int64_t panel = 0; panel < part.panels; panel++) step(part, panel, block, t);
        }
        finish_step();
      }
      pack_gradients(part, 0);
      for (int64_t block = part.blocks.begin; block < part.blocks.end; block++) {
        for (int64_t panel = 0; panel < part.panels; panel++) finish(part, panel, block);
      }
    });
  }

 private:
  void pack_gradients(const Part& part, int64_t t) const {
    if (t == this->length_ || part.rows.size() == 0) return;
    if (!recurrent_grad_) return this->pack(part, projections_grad_, t, this->weight_.depth);
    this->pack(part, projections_grad_, t, 2 * this->units_);
    this->pack(part, recurrent_grad_, t, this->units_, 2 * this->units_);
  }

  RecurrentView<T> carry_of(const Tile& tile) const {
    int64_t first = tile.first_row * this->units_ + tile.unit;
    return {const_cast<T*>(carry_.data()) + first, this->units_, 0};
  }

  void step(const Part& part, int64_t panel, int64_t block, int64_t t) const {
    Tile tile = this->tile_of(part, panel, block);
    auto& stage = this->stage_;
    RecurrentBackStep<T> s{};
    s.rows = tile.rows;
    s.count = tile.count;
    s.sums = this->sums_of(part, panel, block, t + 1 < this->length_);
    s.hidden_cotangent = stage.read(tile, hidden_cotangent_, t);
    s.carry = carry_of(tile);
    if (kept_) s.kept = stage.read(tile, kept_, t, spec_.kept());
    if (spec_.kind == RecurrentSpec::Lstm) {
      s.cell_cotangent = stage.read(tile, cell_cotangent_, t);
      s.cell = stage.read(tile, cells_, t);
      s.cell_before = this->read_or_zeros(tile, t > 0 ? cells_ : cell_, t - 1);
    } else if (spec_.kind == RecurrentSpec::Gru) {
      s.hidden_before = this->read_or_zeros(tile, t > 0 ? hiddens_ : hidden_, t - 1);
      s.recurrent_grad = stage.target(tile, recurrent_grad_, t);
    } else {
      s.hidden = stage.read(tile, hiddens_, t);
    }
    s.projections_grad = stage.target(tile, projections_grad_, t);
    kernel_for<T>().backward[spec_.kind](s);
    stage.write(tile, s.projections_grad, projections_grad_, t, spec_.gates());
    if (recurrent_grad_) stage.write(tile, s.recurrent_grad, recurrent_grad_, t);
  }

  /** Gradients of the states to start from. */
  void finish(const Part& part, int64_t panel, int64_t block) const {
    Tile tile = this->tile_of(part, panel, block);
    auto& stage = this->stage_;
    RecurrentView<T> carry = carry_of(tile);
    if (cell_grad_) {
      auto view = stage.target(tile, cell_grad_, 0);
      for (int64_t r = 0; r < tile.rows; r++) {
        std::copy_n(carry.data + r * carry.row_stride, tile.count, view.data + r * view.row_stride);
      }
      stage.write(tile, view, cell_grad_, 0);
    }
    if (!hidden_grad_) return;
    auto sums = this->sums_of(part, panel, block, this->length_ > 0);
    auto view = stage.target(tile, hidden_grad_, 0);
    bool adds_carry = spec_.kind == RecurrentSpec::Gru;
    for (int64_t r = 0; r < tile.rows; r++) {
      for (int64_t j = 0; j < tile.count; j++) {
        T kept = adds_carry ? carry.data[r * carry.row_stride + j] : T(0);
        view.data[r * view.row_stride + j] = sums.data[r * sums.row_stride + j] + kept;
      }
    }
    stage.write(tile, view, hidden_grad_, 0);
  }

  const RecurrentSpec& spec_;
  Sequence hidden_, cell_, hidden_cotangent_, cell_cotangent_, hiddens_, cells_, kept_;
  Sequence projections_grad_, recurrent_grad_, hidden_grad_, cell_grad_;
  std::vector<T> carry_;
};

std::vector<array> contiguous_inputs(const std::vector<array>& inputs, size_t first) {
  std::vector<array> all(inputs.begin(), inputs.end());
  for (size_t i = first; i < all.size(); i++) all[i] = contiguous(all[i]);
  return all;
}

void eval_recurrent(Recurrent& primitive, const std::vector<array>& inputs,
                    std::vector<array>& outputs) {
  bool unread = primitive.leave_unread(outputs);
  bool keeps = primitive.spec().kept() > 0 && !unread;
  for (size_t i = 0; i + unread < outputs.size(); i++) {
    outputs[i].set_data(allocator::malloc(outputs[i].nbytes()));
  }
  if (outputs[0].size() == 0) {
    return;
  }
  Denormals mode(Denormals::in_products(outputs[0].dtype()));
  auto all = contiguous_inputs(inputs, 0);
  int64_t units = outputs[0].shape(-1);
  PackedWeight weight(all[1], primitive.spec().gates(), units, units, units * units, units, 1);
  if (all[0].dtype() == float64) {
    Forward<double>(primitive.spec(), all, outputs, keeps, weight).run();
  } else {
    Forward<float>(primitive.spec(), all, outputs, keeps, weight).run();
  }
}

void eval_recurrent_backward(RecurrentBackward& primitive, const std::vector<array>& inputs,
                             std::vector<array>& outputs) {
  for (auto& out : outputs) {
    out.set_data(allocator::malloc(out.nbytes()));
  }
  auto at = RecurrentBackward::inputs_of(primitive.spec());
  int64_t units = inputs[1].shape(1), rows = rows_of(inputs[at.hiddens]);
  if (units == 0 || rows == 0) {
    return;
  }
  Denormals mode(Denormals::in_products(outputs[0].dtype()));
  auto all = contiguous_inputs(inputs, 1);  // the projections are not read
  PackedWeight weight(all[1], 1, units, primitive.spec().gates() * units, 0, 1, units);
  if (all[0].dtype() == float64) {
    Backward<double>(primitive.spec(), all, outputs, weight, rows).run();
  } else {
    Backward<float>(primitive.spec(), all, outputs, weight, rows).run();
  }
}

const Register<Recurrent> recurrent(eval_recurrent);
const Register<RecurrentBackward> recurrent_backward(eval_recurrent_backward);

}  // namespace

}  // namespace mlx::core::cpu
