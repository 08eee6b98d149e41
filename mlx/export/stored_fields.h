// Fields of primitives to values of a file and back: they are the arguments of a constructor, each
// checked to be of its type and range.
#pragma once

#include <limits>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

#include "mlx/core/errors.h"
#include "mlx/export/enum_names.h"
#include "mlx/export/value.h"
#include "mlx/primitives/fields.h"

namespace mlx::core {

namespace storing {

template <typename T>
Value store(const T& value);

template <typename List>
Values store_list(const List& list) {
  Values out;
  for (const auto& element : list) out.push_back(store(element));
  return out;
}

template <typename Tuple>
Values store_all(const Tuple& tuple) {
  return std::apply([](const auto&... part) { return Values{store(part)...}; }, tuple);
}

template <typename T>
Value store(const T& value) {
  if constexpr (fields::HasFields<T>) {
    return store_all(value.fields());
  } else if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, Dtype> ||
                       std::is_same_v<T, std::string>) {
    return value;
  } else if constexpr (std::is_floating_point_v<T>) {
    return static_cast<double>(value);
  } else if constexpr (std::is_integral_v<T>) {
    return static_cast<int64_t>(value);
  } else if constexpr (std::is_enum_v<T>) {
    return std::string(enum_name(value));
  } else if constexpr (fields::List<T>) {
    return store_list(value);
  } else if constexpr (fields::Optional<T>) {
    return value ? Values{store(*value)} : Values{};
  } else {
    static_assert(fields::Tuple<T>, "a field of this type cannot be written to a file");
    return store_all(value);
  }
}

}  // namespace storing

namespace restoring {

template <typename T>
const T& get(const Value& value) {
  const T* found = std::get_if<T>(&value);
  ByteReader::expect(found, "A parameter in the file is of the wrong type.");
  return *found;
}

template <typename T>
T restore(const Value& value);

/** A tuple of `fields`, without references. */
template <typename... Fields>
std::tuple<std::decay_t<Fields>...> restore_all(const Values& values,
                                                std::type_identity<std::tuple<Fields...>>) {
  ByteReader::expect(values.size() == sizeof...(Fields), "There are ", values.size(),
                     " parameters in the file where ", sizeof...(Fields), " belong.");
  return [&]<size_t... i>(std::index_sequence<i...>) {
    return std::tuple<std::decay_t<Fields>...>(restore<std::decay_t<Fields>>(values[i])...);
  }
  (std::index_sequence_for<Fields...>());
}

template <typename T>
using FieldsOf = std::type_identity<decltype(std::declval<const T&>().fields())>;

template <typename T>
T restore_number(int64_t number) {
  ByteReader::expect(std::in_range<T>(number), "The parameter ", number,
                     " in the file is out of range.");
  return static_cast<T>(number);
}

template <typename T>
T restore_list(const Values& values) {
  T out;
  for (auto& value : values) out.push_back(restore<typename T::value_type>(value));
  return out;
}

template <typename T>
T restore_enum(const std::string& name) {
  auto found = enum_from_name<T>(name);
  ByteReader::expect(found.has_value(), "The parameter ", io::shown(name), " is not known.");
  return *found;
}

template <typename T>
T restore(const Value& value) {
  if constexpr (fields::HasFields<T>) {
    auto make = [](auto&&... parts) { return T{std::move(parts)...}; };
    return std::apply(make, restore_all(get<Values>(value), FieldsOf<T>()));
  } else if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, Dtype> ||
                       std::is_same_v<T, std::string>) {
    return get<T>(value);
  } else if constexpr (std::is_floating_point_v<T>) {
    return static_cast<T>(get<double>(value));
  } else if constexpr (std::is_integral_v<T>) {
    return restore_number<T>(get<int64_t>(value));
  } else if constexpr (std::is_enum_v<T>) {
    return restore_enum<T>(get<std::string>(value));
  } else if constexpr (fields::List<T>) {
    return restore_list<T>(get<Values>(value));
  } else if constexpr (fields::Optional<T>) {
    const auto& list = get<Values>(value);
    ByteReader::expect(list.size() <= 1, "An optional parameter in the file is there twice.");
    return list.empty() ? T() : T(restore<typename T::value_type>(list[0]));
  } else {
    static_assert(fields::Tuple<T>, "a field of this type cannot be read from a file");
    return restore_all(get<Values>(value), std::type_identity<T>());
  }
}

}  // namespace restoring

/** The fields of a primitive. */
template <typename P>
Values stored_fields(const Primitive& primitive) {
  return storing::store_all(static_cast<const P&>(primitive).fields());
}

/** The primitive with these fields, and what its constructor takes after them. Throws
 * std::runtime_error if it has no such ones. */
template <typename P, typename... More>
std::shared_ptr<Primitive> restore_primitive(Stream s, const Values& values, More... more) {
  auto make = [&](auto&&... fields) -> std::shared_ptr<Primitive> {
    return std::make_shared<P>(s, std::move(fields)..., std::move(more)...);
  };
  return std::apply(make, restoring::restore_all(values, restoring::FieldsOf<P>()));
}

}  // namespace mlx::core
