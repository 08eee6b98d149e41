// Names, categories and promotion of dtypes.
#include "mlx/dtype.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "mlx/core/errors.h"

namespace mlx::core {

namespace {

struct DtypeFacts {
  Dtype dtype;
  std::string_view name;
  Dtype::Kind kind;
  Dtype::Category category;
};

using Kind = Dtype::Kind;

// In the order of Dtype::Val.
constexpr std::array<DtypeFacts, Dtype::count> facts{{
    {bool_, "bool", Kind::b, generic},
    {uint8, "uint8", Kind::u, unsignedinteger},
    {uint16, "uint16", Kind::u, unsignedinteger},
    {uint32, "uint32", Kind::u, unsignedinteger},
    {uint64, "uint64", Kind::u, unsignedinteger},
    {int8, "int8", Kind::i, signedinteger},
    {int16, "int16", Kind::i, signedinteger},
    {int32, "int32", Kind::i, signedinteger},
    {int64, "int64", Kind::i, signedinteger},
    {float16, "float16", Kind::f, floating},
    {float32, "float32", Kind::f, floating},
    {float64, "float64", Kind::f, floating},
    {bfloat16, "bfloat16", Kind::V, floating},
    {complex64, "complex64", Kind::c, complexfloating},
    {complex128, "complex128", Kind::c, complexfloating},
}};

const DtypeFacts& facts_of(Dtype t) { return facts[static_cast<int>(t.val())]; }

Dtype::Category parent(Dtype::Category c) {
  switch (c) {
    case complexfloating:
    case floating:
      return inexact;
    case signedinteger:
    case unsignedinteger:
      return integer;
    case inexact:
    case integer:
      return number;
    default:
      return generic;
  }
}

Dtype signed_with_width(int bytes) {
  return bytes == 1 ? int8 : bytes == 2 ? int16 : bytes == 4 ? int32 : int64;
}

Dtype promote_floats(Dtype a, Dtype b) {
  return a.size() != b.size() ? (a.size() > b.size() ? a : b) : float32;
}

// The signed type that holds both; 64-bit unsigned has none, so it goes to float32.
Dtype promote_mixed_integers(Dtype with_sign, Dtype without) {
  if (without.size() == 8) {
    return float32;
  }
  return signed_with_width(std::max<int>(with_sign.size(), 2 * without.size()));
}

}  // namespace

Dtype to_dtype(Dtype::Val val) { return facts[static_cast<int>(val)].dtype; }

bool issubdtype(const Dtype::Category& a, const Dtype::Category& b) {
  for (auto c = a;; c = parent(c)) {
    if (c == b) {
      return true;
    }
    if (c == generic) {
      return false;
    }
  }
}
bool issubdtype(const Dtype& a, const Dtype& b) { return a == b; }
bool issubdtype(const Dtype::Category&, const Dtype&) { return false; }
bool issubdtype(const Dtype& a, const Dtype::Category& b) {
  return issubdtype(facts_of(a).category, b);
}

Dtype promote_types(const Dtype& t1, const Dtype& t2) {
  if (t1 == t2 || t2 == bool_) {
    return t1;
  }
  if (t1 == bool_) {
    return t2;
  }
  if (is_complex_dtype(t1) || is_complex_dtype(t2)) {
    return complex_dtype(t1) == complex128 ? complex128 : complex_dtype(t2);
  }
  bool float1 = issubdtype(t1, floating);
  bool float2 = issubdtype(t2, floating);
  if (float1 || float2) {
    return float1 && float2 ? promote_floats(t1, t2) : float1 ? t1 : t2;
  }
  bool signed1 = issubdtype(t1, signedinteger);
  bool signed2 = issubdtype(t2, signedinteger);
  if (signed1 != signed2) {
    return signed1 ? promote_mixed_integers(t1, t2) : promote_mixed_integers(t2, t1);
  }
  return t1.size() >= t2.size() ? t1 : t2;
}

Dtype::Kind kindof(const Dtype& t) { return facts_of(t).kind; }

const char* dtype_name(const Dtype& t) { return facts_of(t).name.data(); }

Dtype dtype_from_name(const std::string& name) {
  for (auto& f : facts) {
    if (f.name == name) {
      return f.dtype;
    }
  }
  fail("dtype", "Unknown dtype '", name, "'.");
}

}  // namespace mlx::core
