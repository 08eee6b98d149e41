// Pairs of what a tree has and what its copy has, by the copy's objects.
#include "python/src/placed.h"

#include "python/src/convert.h"
#include "python/src/trees.h"

namespace mlx::python {

PlacedTree::PlacedTree(nb::object tree, const std::vector<array>& arrays, size_t& position)
    : tree_(std::move(tree)), copy_(tree_fill(tree_, arrays, position)) {
  pair(tree_, copy_);
}

void PlacedTree::pair(nb::handle value, nb::handle copy) {
  TreeDepth guard;
  auto* a = as_array(copy);
  origins_.insert_or_assign(copy.ptr(),
                            Origin{nb::borrow(value), nb::borrow(copy), a ? a->id() : 0});
  PyObject *from = value.ptr(), *to = copy.ptr();
  if ((PyList_Check(from) && PyList_Check(to)) || (PyTuple_Check(from) && PyTuple_Check(to))) {
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(to); i++) {
      pair(PySequence_Fast_GET_ITEM(from, i), PySequence_Fast_GET_ITEM(to, i));
    }
  } else if (PyDict_Check(from) && PyDict_Check(to)) {
    for_each_item(copy, [&](nb::handle key, nb::handle item) {
      pair(PyDict_GetItemWithError(from, key.ptr()), item);
    });
  }
}

nb::object PlacedTree::origin(nb::handle h) const {
  auto found = origins_.find(h.ptr());
  if (found == origins_.end()) {
    return nb::borrow(h);
  }
  // An array that was changed in place is another one.
  auto* a = as_array(h);
  return a && a->id() != found->second.id ? nb::borrow(h) : found->second.value;
}

void PlacedTree::give_back_list(nb::handle from, nb::handle to) const {
  nb::list items;
  bool same = PyList_GET_SIZE(from.ptr()) == PyList_GET_SIZE(to.ptr());
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(from.ptr()); i++) {
    items.append(origin(PyList_GET_ITEM(from.ptr(), i)));
    same = same && nb::handle(items[i]).is(PyList_GET_ITEM(to.ptr(), i));
  }
  if (!same && PyList_SetSlice(to.ptr(), 0, PyList_GET_SIZE(to.ptr()), items.ptr()) != 0) {
    throw nb::python_error();
  }
}

void PlacedTree::give_back_dict(nb::handle from, nb::handle to) const {
  nb::dict items;
  bool same = PyDict_Size(from.ptr()) == PyDict_Size(to.ptr());
  for_each_item(from, [&](nb::handle key, nb::handle item) {
    nb::object value = origin(item);
    same = same && PyDict_GetItemWithError(to.ptr(), key.ptr()) == value.ptr();
    items[key] = value;
  });
  if (!same) {
    PyDict_Clear(to.ptr());
    if (PyDict_Update(to.ptr(), items.ptr()) != 0) {
      throw nb::python_error();
    }
  }
}

void PlacedTree::give_back() const {
  for (auto& [p, original] : origins_) {
    if (PyList_Check(p) && PyList_Check(original.value.ptr())) {
      give_back_list(p, original.value);
    } else if (PyDict_Check(p) && PyDict_Check(original.value.ptr())) {
      give_back_dict(p, original.value);
    }
  }
}

nb::object PlacedTree::with_changes(nb::handle holder) const { return merged(tree_, holder); }

nb::object PlacedTree::merged(nb::handle tree, nb::handle holder) const {
  TreeDepth guard;
  PyObject *p = tree.ptr(), *other = holder.ptr();
  if (PyDict_Check(p) && PyDict_Check(other)) {
    nb::dict out;
    for_each_item(tree, [&](nb::handle key, nb::handle item) {
      nb::handle now = PyDict_GetItemWithError(other, key.ptr());
      out[key] = now.is_valid() ? merged(item, now) : nb::borrow(item);
    });
    return out;
  }
  if (PyList_Check(p) && PyList_Check(other)) {
    nb::list out;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(p); i++) {
      nb::handle item = PyList_GET_ITEM(p, i);
      out.append(i < PyList_GET_SIZE(other) ? merged(item, PyList_GET_ITEM(other, i))
                                            : nb::borrow(item));
    }
    return out;
  }
  return as_array(tree) && as_array(holder) ? origin(holder) : nb::borrow(tree);
}

}  // namespace mlx::python
