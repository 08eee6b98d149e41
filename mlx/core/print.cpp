// How arrays, dtypes, devices and single elements look as text: nested brackets, long axes
// shortened to three elements at each end.
#include <cmath>
#include <iomanip>
#include <sstream>

#include "mlx/utils.h"

namespace mlx::core {

namespace {

/** Axes longer than twice this show only so many elements at each end. */
constexpr int edge_items = 3;

/** Fixed notation while a number with a wanted precision is written. */
template <typename T>
void print_real(std::ostream& os, T val, const PrintOptions& options) {
  if (options.precision < 0) {
    os << val;
    return;
  }
  auto flags = os.flags();
  auto precision = os.precision();
  os << std::fixed << std::setprecision(options.precision) << val;
  os.flags(flags);
  os.precision(precision);
}

template <typename C>
void print_complex(std::ostream& os, const C& val, const PrintOptions& options) {
  print_real(os, val.real(), options);
  if (val.imag() >= 0 || std::isnan(val.imag())) {
    os << "+";
  }
  print_real(os, val.imag(), options);
  os << "j";
}

class ArrayPrinter {
 public:
  ArrayPrinter(std::ostream& os, const array& a, std::string gap)
      : os_(os), a_(a), gap_(std::move(gap)) {}

  void print(size_t axis = 0, int64_t offset = 0) {
    if (axis == a_.ndim()) {
      print_element(offset);
      return;
    }
    int extent = a_.shape(static_cast<int>(axis));
    bool shorten = extent > 2 * edge_items;
    os_ << "[";
    for (int i = 0; i < extent; i++) {
      if (shorten && i == edge_items) {
        separate(axis);
        os_ << "...";
        i = extent - edge_items;
      }
      if (i > 0) {
        separate(axis);
      }
      print(axis + 1, offset + i * a_.strides()[axis]);
    }
    os_ << "]";
  }

 private:
  void separate(size_t axis) {
    if (axis + 1 == a_.ndim()) {
      os_ << ", ";
    } else {
      os_ << ",\n" << gap_ << std::string(axis + 1, ' ');
    }
  }

  void print_element(int64_t offset) {
    dispatch_dtype(a_.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      get_global_formatter().print(os_, a_.data<T>()[offset]);
    });
  }

  std::ostream& os_;
  const array& a_;
  std::string gap_;
};

}  // namespace

void PrintFormatter::print(std::ostream& os, bool val) {
  if (capitalize_bool) {
    os << (val ? "True" : "False");
  } else {
    os << (val ? "true" : "false");
  }
}
void PrintFormatter::print(std::ostream& os, int16_t val) { os << val; }
void PrintFormatter::print(std::ostream& os, uint16_t val) { os << val; }
void PrintFormatter::print(std::ostream& os, int32_t val) { os << val; }
void PrintFormatter::print(std::ostream& os, uint32_t val) { os << val; }
void PrintFormatter::print(std::ostream& os, int64_t val) { os << val; }
void PrintFormatter::print(std::ostream& os, uint64_t val) { os << val; }
void PrintFormatter::print(std::ostream& os, float16_t val) {
  print_real(os, static_cast<float>(val), format_options);
}
void PrintFormatter::print(std::ostream& os, bfloat16_t val) {
  print_real(os, static_cast<float>(val), format_options);
}
void PrintFormatter::print(std::ostream& os, float val) { print_real(os, val, format_options); }
void PrintFormatter::print(std::ostream& os, double val) { print_real(os, val, format_options); }
void PrintFormatter::print(std::ostream& os, complex64_t val) {
  print_complex(os, val, format_options);
}
void PrintFormatter::print(std::ostream& os, complex128_t val) {
  print_complex(os, val, format_options);
}

PrintFormatter& get_global_formatter() {
  static PrintFormatter formatter;
  return formatter;
}

void set_printoptions(PrintOptions options) { get_global_formatter().format_options = options; }

std::ostream& operator<<(std::ostream& os, const Device& d) {
  return os << "Device(" << (d.type == Device::cpu ? "cpu" : "gpu") << ", " << d.index << ")";
}

std::ostream& operator<<(std::ostream& os, const Stream& s) {
  return os << "Stream(" << s.device << ", " << s.index << ")";
}

std::ostream& operator<<(std::ostream& os, const Dtype& d) { return os << dtype_name(d); }

std::ostream& operator<<(std::ostream& os, const Dtype::Kind& k) {
  constexpr char letters[] = "buifcV";
  return os << letters[static_cast<int>(k)];
}

std::ostream& operator<<(std::ostream& os, array a) {
  a.eval();
  const std::string prefix = "array(";
  os << prefix;
  ArrayPrinter(os, a, std::string(prefix.size(), ' ')).print();
  return os << ", dtype=" << a.dtype() << ")";
}

}  // namespace mlx::core
