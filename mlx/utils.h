// Small public helpers: streams from what callers pass, promotion, printing, facts about dtypes.
#pragma once

#include <complex>
#include <limits>
#include <ostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "mlx/array.h"
#include "mlx/device.h"
#include "mlx/dtype.h"
#include "mlx/stream.h"

namespace mlx::core {

/** Where an op runs: nothing (the default stream), a stream, or a device's default stream. */
using StreamOrDevice =
    std::variant<std::monostate, Stream, ThreadLocalStream, Device, Device::DeviceType>;

Stream to_stream(StreamOrDevice s);
/** As above with another default. */
Stream to_stream(StreamOrDevice s, Device default_);

/** Makes a stream or device the default while it lives. */
struct StreamContext {
 public:
  explicit StreamContext(StreamOrDevice s);
  ~StreamContext();
  StreamContext(const StreamContext&) = delete;
  StreamContext& operator=(const StreamContext&) = delete;

 private:
  Device device_;
  Stream stream_;
  Device stream_device_;
};

struct PrintOptions {
  /** Significant digits; -1 for the shortest usual form. */
  int precision = -1;
};

/** Writes one element as arrays print it. */
class PrintFormatter {
 public:
  void print(std::ostream& os, bool val);
  void print(std::ostream& os, int16_t val);
  void print(std::ostream& os, uint16_t val);
  void print(std::ostream& os, int32_t val);
  void print(std::ostream& os, uint32_t val);
  void print(std::ostream& os, int64_t val);
  void print(std::ostream& os, uint64_t val);
  void print(std::ostream& os, float16_t val);
  void print(std::ostream& os, bfloat16_t val);
  void print(std::ostream& os, float val);
  void print(std::ostream& os, double val);
  void print(std::ostream& os, complex64_t val);
  void print(std::ostream& os, complex128_t val);

  bool capitalize_bool = false;
  PrintOptions format_options;
};

void set_printoptions(PrintOptions options);
PrintFormatter& get_global_formatter();

/** Whether the caller is the thread that loaded the library. */
bool is_main_thread();

/** Limits of an inexact dtype. Throws std::invalid_argument for others. */
struct finfo {
  explicit finfo(Dtype dtype);
  Dtype dtype;
  double min;
  double max;
  double eps;
  double smallest_normal;
  int bits;
};

/** Limits of an integer dtype. Throws std::invalid_argument for others. */
struct iinfo {
  explicit iinfo(Dtype dtype);
  Dtype dtype;
  int64_t min;
  uint64_t max;
};

/** The promoted dtype of all arrays. */
Dtype result_type(const array& a, const array& b);
Dtype result_type(const array& a, const array& b, const array& c);
Dtype result_type(const std::vector<array>& arrays);

/** The common shape by NumPy's rules. Throws std::invalid_argument if there is none. */
Shape broadcast_shapes(const Shape& s1, const Shape& s2);

/** `dim` as an extent of a shape. Throws std::overflow_error, which names `op`, if it is too large.
 */
template <typename T>
ShapeElem safe_cast(T dim, std::string_view op = "") {
  if (!std::in_range<ShapeElem>(dim)) {
    throw std::overflow_error("[" + std::string(op) + "] Shape dimension " + std::to_string(dim) +
                              " does not fit 32 bits.");
  }
  return static_cast<ShapeElem>(dim);
}

/** The axis in [0, ndim). Throws AxisError otherwise. */
int normalize_axis_index(int axis, int ndim, const std::string& msg_prefix = "");

std::ostream& operator<<(std::ostream& os, const Device& d);
std::ostream& operator<<(std::ostream& os, const Stream& s);
std::ostream& operator<<(std::ostream& os, const Dtype& d);
std::ostream& operator<<(std::ostream& os, const Dtype::Kind& k);
/** Evaluates and prints as Python does. */
std::ostream& operator<<(std::ostream& os, array a);
inline std::ostream& operator<<(std::ostream& os, const complex64_t& v) {
  return os << v.real() << (v.imag() < 0 ? "" : "+") << v.imag() << "j";
}
inline std::ostream& operator<<(std::ostream& os, const complex128_t& v) {
  return os << v.real() << (v.imag() < 0 ? "" : "+") << v.imag() << "j";
}
inline std::ostream& operator<<(std::ostream& os, const float16_t& v) {
  return os << static_cast<float>(v);
}
inline std::ostream& operator<<(std::ostream& os, const bfloat16_t& v) {
  return os << static_cast<float>(v);
}

template <typename Vec>
inline constexpr bool is_vector_v = false;
template <typename T, typename A>
inline constexpr bool is_vector_v<std::vector<T, A>> = true;

/** `(1,2,3)`, as shapes print. */
template <typename Vec, typename = std::enable_if_t<is_vector_v<Vec>>>
std::ostream& operator<<(std::ostream& os, const Vec& v) {
  os << "(";
  for (auto it = v.begin(); it != v.end(); ++it) {
    os << (it == v.begin() ? "" : ",") << *it;
  }
  return os << ")";
}

inline bool is_power_of_2(int n) { return n > 0 && (n & (n - 1)) == 0; }
int next_power_of_2(int n);

/** Settings from the environment, each read once. */
namespace env {

int get_var(const char* name, int default_value);
std::string get_var(const char* name, const char* default_value);
int bfs_max_width();
int max_ops_per_buffer(int default_value);
int max_mb_per_buffer(int default_value);
int residency_set_max_pct();
bool residency_debug();
bool metal_fast_synch();
bool enable_tf32();
int nccl_timeout(int default_value);
const std::string& metal_gpu_arch();

}  // namespace env

}  // namespace mlx::core
