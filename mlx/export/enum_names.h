// Names of enumerators, read by the compiler from the enum itself: what files hold, so that they do
// not depend on the order in which enumerators stand.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>

namespace mlx::core {

namespace detail {

/** The enumerator with the value of `e` without its scope; empty if there is none. */
template <auto e>
consteval std::string_view enumerator_name() {
  std::string_view text = __PRETTY_FUNCTION__;  // … e = mlx::core::ReduceOp::Sum; … or (ReduceOp)9
  size_t begin = text.find("e = ") + 4;
  text = text.substr(begin, text.find_first_of(";]", begin) - begin);
  return text[0] == '(' ? std::string_view() : text.substr(text.rfind(':') + 1);
}

/** More than any enum has. */
inline constexpr size_t most_enumerators = 96;

template <typename E>
inline constexpr auto enumerator_names = []<size_t... i>(std::index_sequence<i...>) {
  return std::array{enumerator_name<static_cast<E>(i)>()...};
}
(std::make_index_sequence<most_enumerators>());

}  // namespace detail

/** Of an enum whose values count from 0. */
template <typename E>
constexpr std::string_view enum_name(E value) {
  return detail::enumerator_names<E>[static_cast<size_t>(value)];
}

template <typename E>
std::optional<E> enum_from_name(std::string_view name) {
  for (size_t i = 0; i < detail::most_enumerators; i++) {
    if (!name.empty() && detail::enumerator_names<E>[i] == name) return static_cast<E>(i);
  }
  return std::nullopt;
}

}  // namespace mlx::core
