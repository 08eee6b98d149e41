// Element types in Python: the dtypes and their categories, promotion, limits and constants.
#include "mlx/dtype.h"

#include <cmath>
#include <limits>
#include <numbers>
#include <sstream>

#include "python/src/convert.h"

namespace mlx::python {

namespace {

using Category = Dtype::Category;

constexpr std::pair<const char*, Category> categories[] = {
    {"complexfloating", complexfloating},
    {"floating", floating},
    {"inexact", inexact},
    {"signedinteger", signedinteger},
    {"unsignedinteger", unsignedinteger},
    {"integer", integer},
    {"number", number},
    {"generic", generic},
};

/** The dtype of an array or a dtype object. */
std::optional<Dtype> dtype_of(nb::handle h) {
  if (auto* t = instance_of<Dtype>(h)) {
    return *t;
  }
  if (auto* a = as_array(h)) {
    return a->dtype();
  }
  return std::nullopt;
}

bool is_subtype(nb::handle a, nb::handle b) {
  auto with = [&](auto first) {
    Category c;
    if (auto* second = instance_of<Dtype>(b)) {
      return issubdtype(first, *second);
    }
    if (!nb::try_cast(b, c, false)) {
      throw std::invalid_argument("[issubdtype] The second input is no dtype and no category.");
    }
    return issubdtype(first, c);
  };
  Category c;
  if (auto* first = instance_of<Dtype>(a)) {
    return with(*first);
  }
  if (!nb::try_cast(a, c, false)) {
    throw std::invalid_argument("[issubdtype] The first input is no dtype and no category.");
  }
  return with(c);
}

bool is_of_kind(Dtype t, const std::string& kind) {
  if (kind == "bool") {
    return t == bool_;
  }
  if (kind == "numeric") {
    return t != bool_;
  }
  constexpr std::pair<const char*, Category> kinds[] = {
      {"signed integer", signedinteger},
      {"unsigned integer", unsignedinteger},
      {"integral", integer},
      {"real floating", floating},
      {"complex floating", complexfloating},
  };
  for (auto& [name, category] : kinds) {
    if (kind == name) {
      return issubdtype(t, category);
    }
  }
  throw std::invalid_argument("[isdtype] Unknown data type kind: '" + kind + "'.");
}

bool is_dtype(Dtype t, nb::handle kind) {
  if (auto* other = instance_of<Dtype>(kind)) {
    return t == *other;
  }
  if (nb::isinstance<nb::str>(kind)) {
    return is_of_kind(t, nb::cast<std::string>(kind));
  }
  if (nb::isinstance<nb::tuple>(kind)) {
    for (nb::handle k : nb::borrow<nb::tuple>(kind)) {
      if (is_dtype(t, k)) {
        return true;
      }
    }
    return false;
  }
  throw nb::type_error("[isdtype] A kind is a dtype, a string or a tuple of these.");
}

bool can_cast(nb::handle from, Dtype to) {
  auto t = dtype_of(from);
  if (!t) {
    throw nb::type_error("[can_cast] Expected an array or a dtype.");
  }
  return promote_types(*t, to) == to;
}

bool is_number(nb::handle h) {
  return PyBool_Check(h.ptr()) || PyLong_Check(h.ptr()) || PyFloat_Check(h.ptr()) ||
         PyComplex_Check(h.ptr());
}

/** The dtype beside `other` of a number, which is weak: it only widens to its kind. */
Dtype beside_number(Dtype other, nb::handle h) {
  if (PyComplex_Check(h.ptr())) {
    return complex_dtype(other);
  }
  if (PyFloat_Check(h.ptr())) {
    return issubdtype(other, inexact) ? other : float32;
  }
  return other == bool_ && !PyBool_Check(h.ptr()) ? int32 : other;
}

Dtype common_type(const nb::args& args) {
  if (args.size() == 0) {
    throw std::invalid_argument("[result_type] At least one array or dtype is required.");
  }
  std::optional<Dtype> out;
  for (nb::handle h : args) {
    auto t = dtype_of(h);
    if (!t && !is_number(h)) {
      throw std::invalid_argument("[result_type] Inputs must be arrays, dtypes or numbers.");
    }
    if (t) {
      out = promote_types(out.value_or(bool_), *t);
    }
  }
  if (!out) {
    throw std::invalid_argument("[result_type] At least one input must be an array or a dtype.");
  }
  for (nb::handle h : args) {
    if (is_number(h)) {
      out = beside_number(*out, h);
    }
  }
  return *out;
}

template <typename Info>
std::string describe(const char* name, const Info& info) {
  std::ostringstream os;
  os << name << "(min=" << info.min << ", max=" << info.max << ", dtype=" << dtype_name(info.dtype)
     << ")";
  return os.str();
}

/** The dtype whose limits are asked for. */
Dtype limited_dtype(nb::handle type, const char* op) {
  auto t = dtype_of(type);
  if (!t) {
    throw nb::type_error((std::string(op) + "() takes a dtype or an array.").c_str());
  }
  return *t;
}

void bind_limits(nb::module_& m) {
  nb::class_<finfo>(m, "finfo", "Limits of a floating-point dtype; of a complex one: its parts.")
      .def(
          "__init__",
          [](finfo* self, nb::handle type) { new (self) finfo(limited_dtype(type, "finfo")); },
          "arg"_a, nb::sig("def __init__(self, arg: Dtype | array) -> None"))
      .def_ro("dtype", &finfo::dtype)
      .def_ro("min", &finfo::min, "The most negative finite number.")
      .def_ro("max", &finfo::max, "The largest finite number.")
      .def_ro("eps", &finfo::eps, "The distance from 1 to the next larger number.")
      .def_ro("smallest_normal", &finfo::smallest_normal, "The smallest positive normal number.")
      .def_ro("bits", &finfo::bits, "Bits of one number.")
      .def("__repr__", [](const finfo& f) { return describe("finfo", f); });
  nb::class_<iinfo>(m, "iinfo", "Limits of an integer dtype.")
      .def(
          "__init__",
          [](iinfo* self, nb::handle type) { new (self) iinfo(limited_dtype(type, "iinfo")); },
          "arg"_a, nb::sig("def __init__(self, arg: Dtype | array) -> None"))
      .def_prop_ro(
          "bits", [](const iinfo& i) { return 8 * i.dtype.size(); }, "Bits of one number.")
      .def_ro("dtype", &iinfo::dtype)
      .def_ro("min", &iinfo::min)
      .def_ro("max", &iinfo::max)
      .def("__repr__", [](const iinfo& i) { return describe("iinfo", i); });
}

void bind_rules(nb::module_& m) {
  m.def("issubdtype", &is_subtype, "arg1"_a, "arg2"_a,
        "Whether a dtype or category falls under another one.")
      .def("isdtype", &is_dtype, "dtype"_a, "kind"_a,
           "Whether a dtype is of a kind: a dtype, one of 'bool', 'signed integer',\n"
           "'unsigned integer', 'integral', 'real floating', 'complex floating', 'numeric', or a\n"
           "tuple of these.")
      .def("can_cast", &can_cast, "from_"_a, "to"_a,
           "Whether promotion alone leads from an array's dtype or a dtype to `to`.")
      .def(
          "result_type", &common_type,
          "The dtype to which all arrays and dtypes promote; numbers beside them are weak. Raises\n"
          "ValueError for other values.");
}

void bind_constants(nb::module_& m) {
  m.attr("pi") = std::numbers::pi;
  m.attr("e") = std::numbers::e;
  m.attr("euler_gamma") = std::numbers::egamma;
  m.attr("inf") = std::numeric_limits<double>::infinity();
  m.attr("nan") = std::numeric_limits<double>::quiet_NaN();
  m.attr("newaxis") = nb::none();
}

}  // namespace

void bind_dtype(nb::module_& m) {
  nb::class_<Dtype>(m, "Dtype", "The type of an array's elements.")
      .def(
          "__init__",
          [](Dtype* self, const std::string& name) { new (self) Dtype(dtype_from_name(name)); },
          "name"_a)
      .def_prop_ro("size", &Dtype::size, "Bytes of one element.")
      .def("__repr__", [](Dtype t) { return std::string("mlx.core.") + dtype_name(t); })
      .def(
          "__eq__",
          [](Dtype t, nb::handle other) {
            auto* u = instance_of<Dtype>(other);
            return u && t == *u;
          },
          "other"_a.none())
      .def("__hash__", [](Dtype t) { return static_cast<int>(t.val()); })
      .def("__reduce__", [](nb::handle self) {
        std::string name = dtype_name(nb::cast<Dtype>(self));
        return nb::make_tuple(self.type(), nb::make_tuple(name));
      });
#define MLX_BIND_DTYPE(T, name) m.attr(#name) = nb::cast(name);
  MLX_FOR_EACH_DTYPE(MLX_BIND_DTYPE)
#undef MLX_BIND_DTYPE

  nb::enum_<Category> category(m, "DtypeCategory", "A group of dtypes, for `issubdtype`.");
  for (auto& [name, value] : categories) {
    category.value(name, value);
  }
  for (auto& [name, value] : categories) {
    m.attr(name) = nb::cast(value);
  }
  category.def("__repr__", [](nb::handle c) {
    return std::string("DtypeCategory.") + nb::str(c.attr("name")).c_str();
  });
  bind_limits(m);
  bind_rules(m);
  bind_constants(m);
}

}  // namespace mlx::python
