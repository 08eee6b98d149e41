// The two halves of a long transform, and what stands around them: chirps, halves of spectra, and
// rows that are not dense.
#include "mlx/backend/cpu/fft_long.h"

#include <algorithm>
#include <complex>

#include "mlx/backend/cpu/fft_plan.h"
#include "mlx/backend/cpu/gemm/scratch.h"
#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t grain_numbers = 1 << 14;

/** Where n numbers of a forward transform come from and go to. */
struct Ends {
  const void* in;
  int64_t in_stride;
  bool in_double, in_real, swap_in;
  void* out;
  int64_t out_stride;
  bool out_double, swap_out;
  double scale;
  int64_t in_ahead = 0, out_ahead = 0;

  /** From, or to, dense memory of the transform's own. */
  void take_from(const void* memory, bool wide) {
    in = memory;
    in_stride = 1;
    in_double = wide;
    in_ahead = 0;
  }
  void give_to(void* memory, bool wide) {
    out = memory;
    out_stride = 1;
    out_double = wide;
    out_ahead = 0;
  }
};

template <typename F>
void for_numbers(int64_t n, const F& f) {
  parallel_for(n, grain_numbers, [&](int64_t begin, int64_t end) {
    for (int64_t j = begin; j < end; j++) f(j);
  });
}

/** Rows [0, count) in groups that fill the vectors: row i starts i steps behind the first. */
template <typename T>
class Groups {
 public:
  Groups(const FftPlan<T>& plan, int64_t count, const FftRows& rows, const FftSplit<T>* twist)
      : plan_(plan), count_(count), rows_(rows), twist_(twist) {}

  size_t scratch_bytes() const { return 4 * sizeof(T) * lanes() * (plan_.program().inner_n + 1); }

  /** Inside one thread, with memory for the kernel. */
  void run(int64_t begin, int64_t end, void* scratch) const {
    for (int64_t first = begin * lanes(); first < std::min(end * lanes(), count_);
         first += lanes()) {
      FftRows job = rows_;
      job.lanes = static_cast<int>(std::min(lanes(), count_ - first));
      job.in_places.first = first * job.in_places.step;
      job.out_places.first = first * job.out_places.step;
      job.scratch = scratch;
      FftTwist twist;
      if (twist_) {
        twist = twist_->twist(first);
        job.twist = &twist;
      }
      fft_kernels().of<T>().rows(plan_.program(), job);
    }
  }

  void run_all() const {
    int64_t grain = grain_numbers / (plan_.program().n * lanes());
    parallel_for(size(), std::max<int64_t>(grain, 1), [&](int64_t begin, int64_t end) {
      Scratch scratch(scratch_bytes());
      run(begin, end, scratch.data());
    });
  }

  int64_t size() const { return (count_ + lanes() - 1) / lanes(); }

 private:
  int64_t lanes() const { return fft_kernels().of<T>().lanes; }

  const FftPlan<T>& plan_;
  int64_t count_;
  FftRows rows_;
  const FftSplit<T>* twist_;
};

/** Rows that begin `place` apart, of numbers `stride` apart. */
void read_from(FftRows& rows, const void* in, int64_t place, int64_t stride, bool wide) {
  rows.in = in;
  rows.in_places = {0, place, nullptr};
  rows.in_stride = stride;
  rows.in_double = wide;
}

void write_to(FftRows& rows, void* out, int64_t place, int64_t stride, bool wide) {
  rows.out = out;
  rows.out_places = {0, place, nullptr};
  rows.out_stride = stride;
  rows.out_double = wide;
}

template <typename T>
void split_transform(const FftSplit<T>& split, const Ends& ends) {
  constexpr bool wide = sizeof(T) == sizeof(double);
  Scratch between(2 * sizeof(T) * split.n);
  FftRows down{}, along{};
  read_from(down, ends.in, ends.in_stride, split.columns * ends.in_stride, ends.in_double);
  down.in_length = split.rows;
  down.in_ahead = ends.in_ahead;
  down.swap_in = ends.swap_in;
  down.kind = ends.in_real ? FftKind::real_to_complex : FftKind::complex_to_complex;
  write_to(down, between.data(), 1, split.columns, wide);
  down.scale = 1;
  read_from(along, between.data(), split.columns, 1, wide);
  along.in_length = split.columns;
  along.kind = FftKind::complex_to_complex;
  write_to(along, ends.out, ends.out_stride, split.rows * ends.out_stride, ends.out_double);
  along.out_ahead = ends.out_ahead;
  along.swap_out = ends.swap_out;
  along.scale = ends.scale;
  Groups<T> columns(*split.column_plan, split.columns, down, &split);
  Groups<T> rows(*split.row_plan, split.rows, along, nullptr);
  if (split.n >= grain_numbers) {
    columns.run_all();
    rows.run_all();
  } else {
    Scratch scratch(std::max(columns.scratch_bytes(), rows.scratch_bytes()));
    columns.run(0, columns.size(), scratch.data());
    rows.run(0, rows.size(), scratch.data());
  }
}

using Number = std::complex<double>;

Number swapped(Number x, bool swap) { return swap ? Number(x.imag(), x.real()) : x; }

/** Product without the rules for infinities, which cost a call. */
Number times(Number a, Number b) {
  return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}

double read(const void* p, int64_t at, bool is_double) {
  return is_double ? static_cast<const double*>(p)[at] : static_cast<const float*>(p)[at];
}

void write(void* p, int64_t at, bool is_double, double x) {
  if (is_double) {
    static_cast<double*>(p)[at] = x;
  } else {
    static_cast<float*>(p)[at] = static_cast<float>(x);
  }
}

Number read_number(const void* p, int64_t at, bool is_double) {
  return {read(p, 2 * at, is_double), read(p, 2 * at + 1, is_double)};
}

void write_number(void* p, int64_t at, bool is_double, Number x) {
  write(p, 2 * at, is_double, x.real());
  write(p, 2 * at + 1, is_double, x.imag());
}

/** Bluestein's convolution. */
void chirp_transform(const FftChirp& chirp, const Ends& ends) {
  auto split = fft_split<double>(chirp.inner);
  Scratch memory(sizeof(Number) * chirp.inner);
  auto* x = memory.as<Number>();
  Ends inner{x, 1, true, false, false, x, 1, true, false, 1};
  for_numbers(chirp.inner, [&](int64_t j) {
    if (j >= chirp.n) {
      x[j] = 0;
      return;
    }
    int64_t at = j * ends.in_stride;
    Number value = ends.in_real ? Number(read(ends.in, at, ends.in_double))
                                : read_number(ends.in, at, ends.in_double);
    x[j] = times(swapped(value, ends.swap_in), chirp.chirp[j]);
  });
  split_transform(*split, inner);
  for_numbers(chirp.inner, [&](int64_t j) { x[j] = swapped(times(x[j], chirp.filter[j]), true); });
  split_transform(*split, inner);
  for_numbers(chirp.n, [&](int64_t j) {
    Number value = times(swapped(x[j], true), chirp.chirp[j]) * ends.scale;
    write_number(ends.out, j * ends.out_stride, ends.out_double, swapped(value, ends.swap_out));
  });
}

/** A row by way of transform(ends), which transforms its complex numbers. */
template <typename T, typename F>
class LongRow {
 public:
  LongRow(const FftRow& row, const FftHalfTable<T>& half, const F& transform)
      : row_(row), half_(half), transform_(transform) {}

  void run() {
    bool real = row_.kind == FftKind::real_to_complex || row_.kind == FftKind::real_to_half_odd;
    Ends ends{row_.in,      row_.in_stride, row_.in_double,  real,
              row_.inverse, row_.out,       row_.out_stride, row_.out_double,
              row_.inverse, row_.scale,     row_.in_ahead,   row_.out_ahead};
    switch (row_.kind) {
      case FftKind::complex_to_complex:
      case FftKind::real_to_complex:
        return whole(ends, row_.length, [&](const Ends& e) { transform_(e); });
      case FftKind::real_to_half:
        return to_half(ends);
      case FftKind::real_to_half_odd:
        return whole(ends, row_.length, [&](const Ends& e) { to_half_odd(e); });
      case FftKind::half_to_real:
        ends.swap_in = false;
        return whole(ends, row_.length + 1, [&](const Ends& e) { from_half(e); });
      case FftKind::half_to_real_odd:
        ends.swap_in = false;
        return whole(ends, row_.length / 2 + 1, [&](const Ends& e) { from_half_odd(e); });
    }
  }

 private:
  static constexpr bool wide = sizeof(T) == sizeof(double);

  /** Calls next with `count` elements of the input, zeros behind the end of the row. */
  template <typename Next>
  void whole(Ends ends, int64_t count, const Next& next) {
    if (row_.in_length >= count) return next(ends);
    int64_t parts = ends.in_real ? 1 : 2;
    Scratch memory(sizeof(T) * parts * count);
    auto* x = memory.as<T>();
    for_numbers(parts * count, [&](int64_t p) {
      int64_t j = p / parts;
      int64_t at = parts * (j * row_.in_stride) + p % parts;
      x[p] = j < row_.in_length ? static_cast<T>(read(row_.in, at, row_.in_double)) : T(0);
    });
    ends.in = x;
    ends.in_stride = 1;
    ends.in_double = wide;
    ends.in_ahead = 0;
    next(ends);
  }

  FftHalf half_job(const void* in, bool in_double, void* out, bool out_double) const {
    return {half_.roots.roots(), half_.lanes.data(), row_.length, in, out,
            in_double,           out_double,         row_.scale};
  }

  /** Real numbers are taken in pairs. */
  void to_half(Ends ends) {
    int64_t n = row_.length;
    ends.in_real = true;
    whole(ends, 2 * n, [&](Ends e) {
      if (e.in_stride != 1) return dense_reals(e, 2 * n, [&](const Ends& d) { pairs_to_half(d); });
      pairs_to_half(e);
    });
  }

  template <typename Next>
  void dense_reals(Ends ends, int64_t count, const Next& next) {
    Scratch memory(sizeof(T) * count);
    auto* x = memory.as<T>();
    for_numbers(count, [&](int64_t j) {
      x[j] = static_cast<T>(read(ends.in, j * ends.in_stride, ends.in_double));
    });
    ends.in = x;
    ends.in_stride = 1;
    ends.in_double = wide;
    ends.in_ahead = 0;
    next(ends);
  }

  void pairs_to_half(Ends ends) {
    int64_t n = row_.length;
    Scratch memory(2 * sizeof(T) * n);
    ends.in_real = ends.swap_in = ends.swap_out = false;
    ends.in_ahead /= 2;
    ends.give_to(memory.data(), wide);
    ends.scale = 1;
    transform_(ends);
    const auto& kernels = fft_kernels().of<T>();
    bool dense = row_.out_stride == 1;
    Scratch kept(dense ? 0 : 2 * sizeof(T) * (n + 1));
    FftHalf job = half_job(memory.data(), wide, dense ? row_.out : kept.data(),
                           dense ? row_.out_double : wide);
    parallel_for(n + 1, grain_numbers,
                 [&](int64_t begin, int64_t end) { kernels.split_half(job, begin, end); });
    if (dense) return;
    spread(kept.data(), n + 1);
  }

  void to_half_odd(Ends ends) {
    Scratch memory(2 * sizeof(T) * row_.length);
    ends.give_to(memory.data(), wide);
    transform_(ends);
    spread(memory.data(), row_.length / 2 + 1);
  }

  void spread(const void* dense, int64_t count) const {
    for_numbers(count, [&](int64_t k) {
      write_number(row_.out, k * row_.out_stride, row_.out_double, read_number(dense, k, wide));
    });
  }

  /** n + 1 numbers to n whose transforms are pairs of real numbers with exchanged parts. */
  void from_half(Ends ends) {
    if (ends.in_stride != 1) {
      Scratch memory(2 * sizeof(T) * (row_.length + 1));
      auto* x = memory.as<T>();
      for_numbers(row_.length + 1, [&](int64_t j) {
        write_number(x, j, wide, read_number(ends.in, j * ends.in_stride, ends.in_double));
      });
      ends.take_from(x, wide);
      return from_half(ends);
    }
    Scratch memory(2 * sizeof(T) * row_.length);
    const auto& kernels = fft_kernels().of<T>();
    FftHalf job = half_job(ends.in, ends.in_double, memory.data(), wide);
    parallel_for(row_.length, grain_numbers,
                 [&](int64_t begin, int64_t end) { kernels.combine_half(job, begin, end); });
    ends.take_from(memory.data(), wide);
    ends.out_ahead /= 2;
    ends.swap_out = true;
    if (row_.out_stride == 1) return transform_(ends);
    scattered(ends, 2 * row_.length, [](int64_t p) { return p; });
  }

  void from_half_odd(Ends ends) {
    int64_t n = row_.length;
    Scratch memory(2 * sizeof(T) * n);
    for_numbers(n / 2 + 1, [&](int64_t k) {
      Number x = read_number(ends.in, k * ends.in_stride, ends.in_double);
      if (k == 0) x = x.real();
      write_number(memory.data(), k, wide, x);
      if (k > 0) write_number(memory.data(), n - k, wide, std::conj(x));
    });
    ends.take_from(memory.data(), wide);
    ends.swap_in = ends.swap_out = true;
    scattered(ends, n, [](int64_t p) { return 2 * p; });
  }

  /** Transforms and writes `count` real numbers; number p is part part_of(p). */
  template <typename Place>
  void scattered(Ends ends, int64_t count, const Place& part_of) {
    Scratch memory(2 * sizeof(T) * row_.length);
    ends.give_to(memory.data(), wide);
    transform_(ends);
    for_numbers(count, [&](int64_t p) {
      write(row_.out, p * row_.out_stride, row_.out_double, read(memory.data(), part_of(p), wide));
    });
  }

  const FftRow& row_;
  const FftHalfTable<T>& half_;
  const F& transform_;
};

}  // namespace

template <typename T>
FftLong<T>::FftLong(int64_t length) {
  if (fft_needs_convolution(length)) {
    chirp_ = fft_chirp(length);
  } else {
    split_ = fft_split<T>(length);
  }
}

template <typename T>
void FftLong<T>::run(const FftRow& row) const {
  if constexpr (sizeof(T) == sizeof(double)) {
    if (chirp_) {
      auto transform = [&](const Ends& ends) { chirp_transform(*chirp_, ends); };
      return LongRow(row, chirp_->half, transform).run();
    }
  }
  auto transform = [&](const Ends& ends) { split_transform(*split_, ends); };
  LongRow(row, split_->half, transform).run();
}

template class FftLong<float>;
template class FftLong<double>;

void fft_long_row(const std::complex<double>* in, std::complex<double>* out, int64_t n) {
  split_transform(*fft_split<double>(n), Ends{in, 1, true, false, false, out, 1, true, false, 1});
}

}  // namespace mlx::core::cpu
