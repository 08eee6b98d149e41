// Graphs that are still to be computed, for people: as text, or in the DOT language of Graphviz.
// Nothing is evaluated; arrays that have been evaluated stand for themselves.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "mlx/array.h"

namespace mlx::core {

namespace detail {

/** A, …, Z, AA, AB, … */
std::string letters(size_t index);

}  // namespace detail

/** Names of arrays: those that are given, and A, …, Z, AA, … for others when they are asked for. */
class NodeNamer {
 public:
  const std::string& get_name(const array& a);
  void set_name(const array& a, std::string name);

 private:
  std::unordered_map<std::uintptr_t, std::string> names_;  // by array::id
  size_t unnamed_ = 0;
};

/**
 * Writes a line for the inputs, one for the outputs, and one for each primitive that the outputs
 * need, inputs first: `C float32(2,3) = Matmul()(A, B)`.
 */
void print_graph(std::ostream& os, NodeNamer namer, const std::vector<array>& outputs);

inline void print_graph(std::ostream& os, const std::vector<array>& outputs) {
  print_graph(os, NodeNamer(), outputs);
}

template <typename... Arrays>
requires(std::is_convertible_v<Arrays, array>&&...) void print_graph(std::ostream& os,
                                                                     Arrays&&... outputs) {
  print_graph(os, NodeNamer(), {std::forward<Arrays>(outputs)...});
}

template <typename... Arrays>
requires(std::is_convertible_v<Arrays, array>&&...) void print_graph(std::ostream& os,
                                                                     NodeNamer namer,
                                                                     Arrays&&... outputs) {
  print_graph(os, std::move(namer), {std::forward<Arrays>(outputs)...});
}

/** Writes a digraph of all that `outputs` are made from: a box per primitive, a node per array. */
void export_to_dot(std::ostream& os, NodeNamer namer, const std::vector<array>& outputs);

inline void export_to_dot(std::ostream& os, const std::vector<array>& outputs) {
  export_to_dot(os, NodeNamer(), outputs);
}

template <typename... Arrays>
requires(std::is_convertible_v<Arrays, array>&&...) void export_to_dot(std::ostream& os,
                                                                       Arrays&&... outputs) {
  export_to_dot(os, NodeNamer(), {std::forward<Arrays>(outputs)...});
}

}  // namespace mlx::core
