// What follows from the list of a value's fields, `auto fields() const { return std::tie(a_, b_);
// }`: equality, hash, and a walk over the fields that printing and writing to files are made of.
// Fields are numbers, booleans, enums, dtypes, strings, shared pointers (which stand for
// themselves), and lists, optionals, tuples and values with fields of their own of these.
#pragma once

#include <bit>
#include <cmath>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <tuple>
#include <type_traits>

#include "mlx/core/hash.h"
#include "mlx/dtype.h"

namespace mlx::core {

/** Sees fields in their order. A list announces its size before its elements. */
class FieldVisitor {
 public:
  virtual ~FieldVisitor() = default;
  virtual void boolean(bool value) = 0;
  virtual void integer(int64_t value) = 0;  // enums too
  virtual void real(double value) = 0;
  virtual void dtype(Dtype value) = 0;
  virtual void text(std::string_view value) = 0;
  /** What has no value outside this process. */
  virtual void identity(const void* value) = 0;
  virtual void begin_list(size_t size) = 0;
  virtual void end_list() = 0;
};

namespace fields {

template <typename T>
concept HasFields = requires(const T& value) {
  value.fields();
};
template <typename T>
concept Text = std::is_convertible_v<const T&, std::string_view>;
template <typename T>
concept List = !Text<T> && requires(const T& value) {
  value.begin();
  value.end();
  value.size();
};
template <typename T>
concept Tuple = !List<T> && requires {
  std::tuple_size<T>::value;
};
template <typename T>
concept Optional = std::is_same_v<T, std::optional<typename T::value_type>>;
template <typename T>
concept SharedPointer = std::is_same_v<T, std::shared_ptr<typename T::element_type>>;

/** Floats are equal if their bits are: -0 and 0 compute different things, NaN and NaN do not. */
template <typename T>
bool equal(const T& a, const T& b) {
  if constexpr (HasFields<T>) {
    return equal(a.fields(), b.fields());
  } else if constexpr (std::is_floating_point_v<T>) {
    return std::bit_cast<uint64_t>(double{a}) == std::bit_cast<uint64_t>(double{b});
  } else if constexpr (List<T>) {
    auto same = [](const auto& x, const auto& y) { return equal(x, y); };
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), same);
  } else if constexpr (Optional<T>) {
    return a.has_value() == b.has_value() && (!a || equal(*a, *b));
  } else if constexpr (Tuple<T>) {
    return [&]<size_t... i>(std::index_sequence<i...>) {
      return (equal(std::get<i>(a), std::get<i>(b)) && ...);
    }
    (std::make_index_sequence<std::tuple_size_v<T>>());
  } else {
    return a == b;
  }
}

/** `seed` with the hash of `value`; equal values have equal hashes. */
template <typename T>
size_t hash(size_t seed, const T& value) {
  if constexpr (HasFields<T>) {
    return hash(seed, value.fields());
  } else if constexpr (std::is_floating_point_v<T>) {
    return hash_combine(seed, std::bit_cast<uint64_t>(double{value}));
  } else if constexpr (std::is_integral_v<T> || std::is_enum_v<T>) {
    return hash_combine(seed, static_cast<size_t>(value));
  } else if constexpr (std::is_same_v<T, Dtype>) {
    return hash_combine(seed, static_cast<size_t>(value.val()));
  } else if constexpr (Text<T>) {
    return hash_combine(seed, std::hash<std::string_view>{}(value));
  } else if constexpr (List<T>) {
    seed = hash_combine(seed, value.size());
    for (const auto& element : value) seed = hash(seed, element);
    return seed;
  } else if constexpr (Optional<T>) {
    return value ? hash(hash_combine(seed, 1), *value) : hash_combine(seed, 0);
  } else if constexpr (SharedPointer<T>) {
    return hash_combine(seed, std::hash<T>{}(value));
  } else {
    static_assert(Tuple<T>, "a field of this type is not known");
    std::apply([&](const auto&... part) { ((seed = hash(seed, part)), ...); }, value);
    return seed;
  }
}

/** Shows `value` to the visitor: one of its functions, or a list of such. */
template <typename T>
void visit(FieldVisitor& visitor, const T& value) {
  if constexpr (HasFields<T>) {
    visit(visitor, value.fields());
  } else if constexpr (std::is_same_v<T, bool>) {
    visitor.boolean(value);
  } else if constexpr (std::is_floating_point_v<T>) {
    visitor.real(value);
  } else if constexpr (std::is_integral_v<T> || std::is_enum_v<T>) {
    visitor.integer(static_cast<int64_t>(value));
  } else if constexpr (std::is_same_v<T, Dtype>) {
    visitor.dtype(value);
  } else if constexpr (Text<T>) {
    visitor.text(value);
  } else if constexpr (List<T>) {
    visitor.begin_list(value.size());
    for (const auto& element : value) visit(visitor, element);
    visitor.end_list();
  } else if constexpr (Optional<T>) {
    visitor.begin_list(value.has_value());
    if (value) visit(visitor, *value);
    visitor.end_list();
  } else if constexpr (SharedPointer<T>) {
    visitor.identity(value.get());
  } else {
    static_assert(Tuple<T>, "a field of this type is not known");
    visitor.begin_list(std::tuple_size_v<T>);
    std::apply([&](const auto&... part) { (visit(visitor, part), ...); }, value);
    visitor.end_list();
  }
}

}  // namespace fields

}  // namespace mlx::core
