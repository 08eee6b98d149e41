// A copy of a tree with other arrays in it, for a function to work on, and the way back: what the
// function puts into the copy's containers is then in the tree's own, and the rest is as it was.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "python/src/bindings.h"

namespace mlx::python {

class PlacedTree {
 public:
  /** Puts `arrays[position…]` in place of the arrays of a tree. Advances `position`. */
  PlacedTree(nb::object tree, const std::vector<array>& arrays, size_t& position);

  const nb::object& copy() const { return copy_; }

  /** Makes the lists and dicts of the tree have what those of the copy have. */
  void give_back() const;

  /** The tree, but with what `holder`, a tree that has the copy's arrays, has in their places. */
  nb::object with_changes(nb::handle holder) const;

 private:
  struct Origin {
    nb::object value, copy;
    std::uintptr_t id;  // of arrays, 0 for containers
  };

  void pair(nb::handle value, nb::handle copy);
  /** What stood in the place of something of the copy; anything else is itself. */
  nb::object origin(nb::handle h) const;
  void give_back_list(nb::handle from, nb::handle to) const;
  void give_back_dict(nb::handle from, nb::handle to) const;
  nb::object merged(nb::handle tree, nb::handle holder) const;

  nb::object tree_, copy_;
  std::unordered_map<PyObject*, Origin> origins_;
};

}  // namespace mlx::python
