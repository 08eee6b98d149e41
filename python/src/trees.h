// Trees of Python containers with arrays as leaves: what eval, grad, vmap and compile take and
// give. Inner nodes are lists, tuples (named ones keep their type) and dicts; a dict subclass such
// as nn.Module counts as a dict, and random.state as a list of one key.
#pragma once

#include <functional>
#include <vector>

#include "mlx/core/function_ref.h"
#include "python/src/bindings.h"

namespace mlx::python {

/** Python's own guard against endless nesting, for functions that walk: RecursionError. */
class TreeDepth {
 public:
  TreeDepth();
  ~TreeDepth();
  TreeDepth(const TreeDepth&) = delete;
  TreeDepth& operator=(const TreeDepth&) = delete;
};

/** Calls f with the items of a dict, which stay alive meanwhile whatever f does. Throws
 *  std::runtime_error if the dict changes its size. */
void for_each_item(nb::handle dict, FunctionRef<void(nb::handle key, nb::handle value)> f);

/** Calls `visit` with each leaf, whatever it is, in a fixed order. */
void tree_visit(nb::handle tree, const std::function<void(nb::handle)>& visit);

/** A tree of the same containers (modules as copies) with each leaf replaced by what `map` makes.
 */
nb::object tree_map(nb::handle tree, const std::function<nb::object(nb::handle)>& map);

/** All arrays of a tree in order; other leaves are passed over. */
std::vector<array> tree_arrays(nb::handle tree);

/** As tree_arrays, but every leaf must be an array: throws ValueError "[op] …" otherwise. */
std::vector<array> tree_arrays_only(nb::handle tree, const char* op);

/** Puts `arrays[position…]` in place of the arrays of `tree`; a new tree. Advances `position`. */
nb::object tree_fill(nb::handle tree, const std::vector<array>& arrays, size_t& position);

/** Puts arrays into a tree's own lists and dicts in place, for state that others hold, too. */
void tree_update(nb::handle tree, const std::vector<array>& arrays, size_t& position);

}  // namespace mlx::python
