// Choosing a copy: the memory copier for plain bytes, tiles where rows become columns, else one
// element (or 16 bytes) per thread.
#include "mlx/backend/cuda/copy.h"

#include <algorithm>

#include "mlx/backend/cuda/kernels/copy_call.h"
#include "mlx/backend/cuda/kernels/slice_call.h"
#include "mlx/backend/cuda/parameters.h"
#include "mlx/backend/cuda/program.h"
#include "mlx/backend/cuda/runtime/operand.h"
#include "mlx/backend/cuda/types.h"
#include "mlx/core/layout.h"

namespace mlx::core::cuda {

namespace {

constexpr int threads = 256;
using kernels::tile_lanes, kernels::tile_threads;
constexpr int64_t narrow_limit = int64_t{1} << 30;

struct Job {
  SmallVector<int64_t> shape;
  Strides in_strides, out_strides;
  const void* in;
  void* out;
  size_t itemsize;

  int rank() const { return static_cast<int>(shape.size()); }
  int64_t count() const {
    int64_t n = 1;
    for (int64_t extent : shape) n *= extent;
    return n;
  }
  bool is_wide() const {
    int64_t in_span = 1, out_span = 1;
    for (int i = 0; i < rank(); i++) {
      in_span += (shape[i] - 1) * std::abs(in_strides[i]);
      out_span += (shape[i] - 1) * std::abs(out_strides[i]);
    }
    return std::max({count(), in_span, out_span}) >= narrow_limit;
  }
};

Job make_job(const void* in, const Strides& in_strides, void* out, const Strides& out_strides,
             const Shape& shape, size_t itemsize) {
  auto layout = collapse_dims(shape, {in_strides, out_strides});
  return {layout.shape, layout.strides[0], layout.strides[1], in, out, itemsize};
}

/** Moves rows in words of up to 16 bytes where everything is aligned to them, `steps` too. */
void widen(Job& job, SmallVector<int64_t>& steps) {
  int last = job.rank() - 1;
  if (job.in_strides[last] != 1 || job.out_strides[last] != 1) {
    return;
  }
  for (size_t word = 16; word > job.itemsize; word /= 2) {
    auto each = static_cast<int64_t>(word / job.itemsize);
    bool fits = job.shape[last] % each == 0 && reinterpret_cast<uint64_t>(job.in) % word == 0 &&
                reinterpret_cast<uint64_t>(job.out) % word == 0;
    for (int i = 0; i < last; i++) {
      fits = fits && job.in_strides[i] % each == 0 && job.out_strides[i] % each == 0;
    }
    fits = fits && std::all_of(steps.begin(), steps.end(),
                               [each](int64_t step) { return step % each == 0; });
    if (fits) {
      for (int64_t& step : steps) step /= each;
      job.shape[last] /= each;
      for (int i = 0; i < last; i++) {
        job.in_strides[i] /= each;
        job.out_strides[i] /= each;
      }
      job.itemsize = word;
      return;
    }
  }
}

KernelCall strided_call(const std::string& function, bool wide, int rank,
                        const char* parameters = "StridedCopy<") {
  std::string ranks = std::to_string(rank) + ">";
  return {"copy.h", parameters + ranks, function + (wide ? ", int64_t, " : ", int32_t, ") + ranks,
          threads};
}

/** `rank` is what the kernel was made for. */
Parameters strided_parameters(const Job& job, int rank) {
  Parameters parameters(kernels::StridedCopyCall{job.count(), job.in, job.out});
  parameters.add_padded(job.shape, rank, 1);
  parameters.add_padded(job.in_strides, rank, 0);
  parameters.add_padded(job.out_strides, rank, 0);
  return parameters;
}

void run_strided(const Job& job, Kernel kernel, int rank, const Stream& s) {
  strided_parameters(job, rank).launch(kernel, blocks_for(job.count(), threads), threads, s);
}

/** A copy to where the device says, ready to start. */
struct PlacedJob {
  Job job;
  DeviceStart start;
  int rank, axes;

  PlacedJob(const StridedJob& given, DeviceStart place)
      : job(make_job(given.in, given.in_strides, given.out, given.out_strides, given.shape,
                     given.itemsize)),
        start(std::move(place)),
        axes(static_cast<int>(start.axes.size())) {
    widen(job, start.strides);
    rank = rank_class(job.shape.size());
  }

  Parameters parameters() const {
    Parameters all(kernels::PlacedCopyCall{job.count(), job.in, job.out, start.starts, start.kind,
                                           start.step, start.fault});
    all.add_padded(job.shape, rank, 1);
    all.add_padded(job.in_strides, rank, 0);
    all.add_padded(job.out_strides, rank, 0);
    for (auto* list : {&start.axes, &start.rooms, &start.strides}) {
      all.add_padded(*list, axes, 0);
    }
    return all;
  }

  void run(const Stream& s) const {
    static auto* kernels = new KernelTable;
    Kernel kernel = kernels->find({static_cast<int64_t>(job.itemsize), rank, axes}, s,
                                  [&] { return placed_copy_call(job.itemsize, rank, axes); });
    parameters().launch(kernel, blocks_for(job.count(), threads), threads, s);
  }
};

/** Starts two calls of one sort as one. */
void run_pair(Kernel kernel, const Job& a, const Parameters& of_a, const Job& b,
              const Parameters& of_b, const Stream& s) {
  int64_t first = blocks_for(a.count(), threads);
  Parameters both;
  both.add(first);
  both.add_all(of_a);
  both.add_all(of_b);
  both.launch(kernel, blocks_for(first + blocks_for(b.count(), threads), 1), threads, s);
}

/** The axis along which the input's elements are neighbours, if tiles pay; else -1. */
int tile_axis(const Job& job) {
  int last = job.rank() - 1;
  if (job.itemsize > 8 || job.out_strides[last] != 1 || job.in_strides[last] == 1 ||
      job.in_strides[last] == 0 || job.shape[last] < 8) {
    return -1;
  }
  for (int i = 0; i < last; i++) {
    if (job.in_strides[i] == 1 && job.shape[i] >= 8) {
      return i;
    }
  }
  return -1;
}

/** Large tiles have more of memory on its way at once. */
int tile_side(int64_t rows, int64_t columns, size_t itemsize) {
  return std::min(rows, columns) > 32 && itemsize <= 4 ? 64 : 32;
}

void run_tiled(const Job& job, int axis, const Stream& s) {
  int last = job.rank() - 1;
  SmallVector<int64_t> shape;
  Strides in_strides, out_strides;
  int64_t matrices = 1;
  for (int i = 0; i < last; i++) {
    if (i == axis) continue;
    shape.push_back(job.shape[i]);
    in_strides.push_back(job.in_strides[i]);
    out_strides.push_back(job.out_strides[i]);
    matrices *= job.shape[i];
  }
  int rank = rank_class(std::max<size_t>(shape.size(), 1));
  kernels::TiledCopyCall call{};
  call.rows = job.shape[axis];
  call.columns = job.shape[last];
  call.column_stride = job.in_strides[last];
  call.row_stride = job.out_strides[axis];
  int side = tile_side(call.rows, call.columns, job.itemsize);
  call.tiles_down = (call.rows + side - 1) / side;
  call.tiles_across = (call.columns + side - 1) / side;
  call.in = job.in;
  call.out = job.out;
  Parameters parameters(call);
  parameters.add_padded(shape, rank, 1);
  parameters.add_padded(in_strides, rank, 0);
  parameters.add_padded(out_strides, rank, 0);
  parameters.launch(kernel_of(tiled_copy_call(job.itemsize, side, rank), s),
                    blocks_for(matrices * call.tiles_down * call.tiles_across, 1),
                    dim3(tile_lanes, tile_threads), s);
}

/** All of `out` becomes the one element of `in`, which a program writes in packs. */
void fill(const array& in, array& out, const Stream& s) {
  array element(Shape{}, in.dtype(), nullptr, {});
  share_view(in, element, {});
  Program program;
  program.inputs = {in.dtype()};
  program.outputs = {0};
  std::vector<array> outputs = {out};
  run_program(program, {element}, outputs, s);
}

}  // namespace

void copy_strided(const void* in, const Strides& in_strides, void* out, const Strides& out_strides,
                  const Shape& shape, size_t itemsize, const Stream& s) {
  Job job = make_job(in, in_strides, out, out_strides, shape, itemsize);
  if (job.count() == 0) {
    return;
  }
  if (job.rank() == 1 && job.in_strides[0] == 1 && job.out_strides[0] == 1) {
    static const uint64_t copying = new_call_number();
    size_t bytes = static_cast<size_t>(job.count()) * itemsize;
    enqueue(s, LibraryCall(copying).add(out).add(in).add(bytes), [&](cudaStream_t stream) {
      check_cuda([&] { return cudaMemcpyAsync(out, in, bytes, cudaMemcpyDeviceToDevice, stream); },
                 "copying");
    });
    return;
  }
  if (int axis = tile_axis(job); axis >= 0) {
    run_tiled(job, axis, s);
    return;
  }
  SmallVector<int64_t> no_steps;
  widen(job, no_steps);
  int rank = rank_class(job.shape.size());
  bool wide = job.is_wide();
  static auto* kernels = new KernelTable;
  Kernel kernel = kernels->find({static_cast<int64_t>(job.itemsize), wide, rank}, s,
                                [&] { return strided_copy_call(job.itemsize, wide, rank); });
  run_strided(job, kernel, rank, s);
}

void copy_to_start(const StridedJob& job, DeviceStart start, const Stream& s) {
  PlacedJob(job, std::move(start)).run(s);
}

void copy_pair_to_start(const StridedJob& a, DeviceStart start_a, const StridedJob& b,
                        DeviceStart start_b, const Stream& s) {
  PlacedJob first(a, std::move(start_a)), second(b, std::move(start_b));
  size_t word = first.job.itemsize;
  int rank = std::max(first.rank, second.rank), axes = first.axes;
  if (word != second.job.itemsize || axes != second.axes) {
    first.run(s);
    second.run(s);
    return;
  }
  first.rank = second.rank = rank;
  static auto* kernels = new KernelTable;
  Kernel kernel = kernels->find({static_cast<int64_t>(word), rank, axes}, s,
                                [&] { return placed_copy_pair_call(word, rank, axes); });
  run_pair(kernel, first.job, first.parameters(), second.job, second.parameters(), s);
}

void copy_pair(const StridedJob& a, const StridedJob& b, const Stream& s) {
  Job jobs[2];
  bool tiled = false;
  for (int i = 0; i < 2; i++) {
    const StridedJob& given = i ? b : a;
    jobs[i] = make_job(given.in, given.in_strides, given.out, given.out_strides, given.shape,
                       given.itemsize);
    tiled = tiled || tile_axis(jobs[i]) >= 0;
    SmallVector<int64_t> no_steps;
    widen(jobs[i], no_steps);
  }
  size_t word = jobs[0].itemsize;
  if (tiled || word != jobs[1].itemsize) {
    for (const StridedJob* job : {&a, &b}) {
      copy_strided(job->in, job->in_strides, job->out, job->out_strides, job->shape, job->itemsize,
                   s);
    }
    return;
  }
  int rank = std::max(rank_class(jobs[0].shape.size()), rank_class(jobs[1].shape.size()));
  bool wide =
      jobs[0].is_wide() || jobs[1].is_wide() || jobs[0].count() + jobs[1].count() >= narrow_limit;
  static auto* kernels = new KernelTable;
  Kernel kernel = kernels->find({static_cast<int64_t>(word), wide, rank}, s,
                                [&] { return strided_copy_pair_call(word, wide, rank); });
  run_pair(kernel, jobs[0], strided_parameters(jobs[0], rank), jobs[1],
           strided_parameters(jobs[1], rank), s);
}

void combine_strided(UpdateMode mode, Dtype dtype, const void* in, const Strides& in_strides,
                     void* out, const Strides& out_strides, const Shape& shape, const Stream& s) {
  if (mode == UpdateMode::Replace) {
    copy_strided(in, in_strides, out, out_strides, shape, dtype.size(), s);
    return;
  }
  Job job = make_job(in, in_strides, out, out_strides, shape, dtype.size());
  if (job.count() > 0) {
    int rank = rank_class(job.shape.size());
    run_strided(job, kernel_of(strided_combine_call(mode, dtype, job.is_wide(), rank), s), rank, s);
  }
}

KernelCall strided_copy_call(size_t word, bool wide, int rank) {
  return strided_call(std::string("strided_copy<") + word_name(word), wide, rank);
}

KernelCall strided_combine_call(UpdateMode mode, Dtype dtype, bool wide, int rank) {
  return strided_call(
      std::string("strided_combine<op::") + update_op_name(mode) + ", " + type_name(dtype), wide,
      rank);
}

KernelCall tiled_copy_call(size_t word, int side, int rank) {
  std::string ranks = std::to_string(side) + ", " + std::to_string(rank) + ">";
  return {"copy.h", "TiledCopy<" + std::to_string(rank) + ">",
          std::string("tiled_copy<") + word_name(word) + ", " + ranks, tile_lanes * tile_threads};
}

KernelCall placed_copy_call(size_t word, int rank, int axes) {
  std::string numbers = std::to_string(rank) + ", " + std::to_string(axes) + ">";
  return {"slice.h",
          "PlacedCopy<" + numbers,
          std::string("placed_copy<") + word_name(word) + ", " + numbers,
          threads,
          1,
          {},
          /*awaits_earlier=*/true};
}

KernelCall strided_copy_pair_call(size_t word, bool wide, int rank) {
  return strided_call(std::string("strided_copy_pair<") + word_name(word), wide, rank,
                      "StridedCopyPair<");
}

KernelCall placed_copy_pair_call(size_t word, int rank, int axes) {
  KernelCall call = placed_copy_call(word, rank, axes);
  call.parameters.replace(0, std::string("PlacedCopy").size(), "PlacedCopyPair");
  call.function.replace(0, std::string("placed_copy").size(), "placed_copy_pair");
  return call;
}

const char* update_op_name(UpdateMode mode) {
  switch (mode) {
    case UpdateMode::Sum:
      return "Add";
    case UpdateMode::Prod:
      return "Multiply";
    case UpdateMode::Max:
      return "Maximum";
    case UpdateMode::Min:
      return "Minimum";
    default:
      return "";
  }
}

void clear(void* data, size_t bytes, const Stream& s) {
  if (bytes == 0) {
    return;
  }
  static const uint64_t clearing = new_call_number();
  enqueue(s, LibraryCall(clearing).add(data).add(bytes), [&](cudaStream_t stream) {
    check_cuda([&] { return cudaMemsetAsync(data, 0, bytes, stream); }, "clearing memory");
  });
}

void copy(const array& in, array& out, const Stream& s) {
  if (in.dtype() != out.dtype()) {
    Program program;
    program.inputs = {in.dtype()};
    program.add_cast(0, out.dtype());
    program.outputs = {1};
    std::vector<array> outputs = {out};
    array source = in.flags().row_contiguous ? in : contiguous(in, s);
    run_program(program, {source}, outputs, s);
    return;
  }
  if (out.size() > 1 && layout_span(in.shape(), in.strides()) == 1) {
    fill(in, out, s);
    return;
  }
  allocate_output(out, s);
  if (out.size() > 0) {
    copy_strided(input_address(in, s), in.strides(), output_address(out), out.strides(), in.shape(),
                 in.itemsize(), s);
  }
}

array contiguous(const array& a, const Stream& s) {
  if (a.flags().row_contiguous) {
    return a;
  }
  array out(a.shape(), a.dtype(), nullptr, {});
  copy(a, out, s);
  return out;
}

array contiguous_for(const array& in, array& out, const Stream& s) {
  if (!in.flags().row_contiguous || !write_over(in, out, s)) {
    allocate_output(out, s);
  }
  return contiguous(in, s);
}

void take_over(const array& source, array& out, const Stream& s) {
  if (!write_over(source, out, s)) {
    copy(source, out, s);
  }
}

}  // namespace mlx::core::cuda
