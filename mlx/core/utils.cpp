// Streams from what callers pass, promotion, broadcasting, limits of dtypes, the environment.
#include "mlx/utils.h"

#include <bit>
#include <cstdlib>
#include <thread>

#include "mlx/core/errors.h"
#include "mlx/core/scheduler.h"

namespace mlx::core {

Stream to_stream(StreamOrDevice s) {
  if (std::holds_alternative<std::monostate>(s)) {
    return default_stream(default_device());
  }
  return to_stream(std::move(s), default_device());
}

Stream to_stream(StreamOrDevice s, Device default_) {
  struct Resolve {
    Device fallback;
    Stream operator()(std::monostate) const { return default_stream(fallback); }
    Stream operator()(const Stream& s) const {
      check(scheduler::stream_exists(s), "stream", "There is no ", s, ".");
      return s;
    }
    Stream operator()(const ThreadLocalStream& s) const {
      return stream_from_thread_local_stream(s);
    }
    Stream operator()(const Device& d) const { return default_stream(d); }
    Stream operator()(Device::DeviceType t) const { return default_stream(t); }
  };
  return std::visit(Resolve{default_}, s);
}

namespace {
Device device_of(const StreamOrDevice& s) {
  return std::holds_alternative<std::monostate>(s) ? default_device() : to_stream(s).device;
}
}  // namespace

StreamContext::StreamContext(StreamOrDevice s)
    : device_(default_device()),
      stream_(default_stream(device_of(s))),
      stream_device_(stream_.device) {
  if (!std::holds_alternative<std::monostate>(s)) {
    Stream target = to_stream(s);
    set_default_device(target.device);
    set_default_stream(target);
  }
}

StreamContext::~StreamContext() {
  set_default_stream(stream_);
  set_default_device(device_);
}

Dtype result_type(const array& a, const array& b) { return promote_types(a.dtype(), b.dtype()); }

Dtype result_type(const array& a, const array& b, const array& c) {
  return promote_types(result_type(a, b), c.dtype());
}

Dtype result_type(const std::vector<array>& arrays) {
  Dtype t = bool_;
  for (auto& a : arrays) {
    t = promote_types(t, a.dtype());
  }
  return t;
}

Shape broadcast_shapes(const Shape& s1, const Shape& s2) {
  const Shape& longer = s1.size() >= s2.size() ? s1 : s2;
  const Shape& shorter = s1.size() >= s2.size() ? s2 : s1;
  Shape out = longer;
  size_t shift = longer.size() - shorter.size();
  for (size_t i = 0; i < shorter.size(); i++) {
    auto a = longer[i + shift];
    auto b = shorter[i];
    check(a == b || a == 1 || b == 1, "broadcast_shapes", "Shapes ", s1, " and ", s2,
          " cannot be broadcast.");
    out[i + shift] = a == 1 ? b : a;
  }
  return out;
}

int normalize_axis_index(int axis, int ndim, const std::string& msg_prefix) {
  if (axis < -ndim || axis >= ndim) {
    std::ostringstream os;
    os << msg_prefix << "Axis " << axis << " is out of range for an array with " << ndim
       << " dimensions.";
    throw AxisError(os.str());
  }
  return axis < 0 ? axis + ndim : axis;
}

namespace {
const std::thread::id main_thread_id = std::this_thread::get_id();
}

bool is_main_thread() { return std::this_thread::get_id() == main_thread_id; }

int next_power_of_2(int n) {
  return n <= 1 ? 1 : static_cast<int>(std::bit_ceil(static_cast<unsigned>(n)));
}

namespace {

template <typename T>
void fill_finfo(finfo& info) {
  using limits = std::numeric_limits<T>;
  info.min = static_cast<double>(limits::lowest());
  info.max = static_cast<double>(limits::max());
  info.eps = static_cast<double>(limits::epsilon());
  info.smallest_normal = static_cast<double>(limits::min());
  info.bits = 8 * sizeof(T);
}

}  // namespace

finfo::finfo(Dtype dtype) : dtype(real_dtype(dtype)) {
  check(issubdtype(dtype, inexact), "finfo", "Expected an inexact dtype, got ", dtype, ".");
  dispatch_dtype(this->dtype, [this](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (!std::is_integral_v<T> && !ComplexNumber<T>) {
      fill_finfo<T>(*this);
    }
  });
}

iinfo::iinfo(Dtype dtype) : dtype(dtype), min(0), max(0) {
  check(issubdtype(dtype, integer), "iinfo", "Expected an integer dtype, got ", dtype, ".");
  dispatch_dtype(dtype, [this](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_integral_v<T>) {
      min = static_cast<int64_t>(std::numeric_limits<T>::min());
      max = static_cast<uint64_t>(std::numeric_limits<T>::max());
    }
  });
}

namespace env {

int get_var(const char* name, int default_value) {
  const char* text = std::getenv(name);
  return text ? std::atoi(text) : default_value;
}

std::string get_var(const char* name, const char* default_value) {
  const char* text = std::getenv(name);
  return text ? text : default_value;
}

int bfs_max_width() {
  static const int value = get_var("MLX_BFS_MAX_WIDTH", 20);
  return value;
}
int max_ops_per_buffer(int default_value) {
  static const int value = get_var("MLX_MAX_OPS_PER_BUFFER", default_value);
  return value;
}
int max_mb_per_buffer(int default_value) {
  static const int value = get_var("MLX_MAX_MB_PER_BUFFER", default_value);
  return value;
}
int residency_set_max_pct() {
  static const int value = get_var("MLX_RESIDENCY_SET_MAX_PCT", 100);
  return value;
}
bool residency_debug() {
  static const bool value = get_var("MLX_RESIDENCY_DEBUG", 0);
  return value;
}
bool metal_fast_synch() {
  static const bool value = get_var("MLX_METAL_FAST_SYNCH", 0);
  return value;
}
bool enable_tf32() {
  static const bool value = get_var("MLX_ENABLE_TF32", 0);
  return value;
}
int nccl_timeout(int default_value) {
  static const int value = get_var("MLX_NCCL_TIMEOUT", default_value);
  return value;
}
const std::string& metal_gpu_arch() {
  static const auto* value = new std::string(get_var("MLX_METAL_GPU_ARCH", ""));
  return *value;
}

}  // namespace env

}  // namespace mlx::core
