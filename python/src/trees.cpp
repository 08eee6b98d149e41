// Walks over trees of Python containers.
#include "python/src/trees.h"

#include "mlx/core/errors.h"
#include "python/src/convert.h"
#include "python/src/random_state.h"
#include "python/src/slots.h"

namespace mlx::python {

namespace {

/** A tuple of the same type, named ones included, without calling what a subclass may define. */
nb::object tuple_like(nb::handle original, nb::tuple items) {
  if (PyTuple_CheckExact(original.ptr())) {
    return items;
  }
  PyObject* made =
      PyTuple_Type.tp_new(Py_TYPE(original.ptr()), nb::make_tuple(items).ptr(), nullptr);
  if (!made) {
    throw nb::python_error();
  }
  return nb::steal(made);
}

/** An empty container of the same type, a subclass's with its other attributes. */
nb::object empty_like(nb::handle original) {
  nb::object type = nb::borrow(original.type());
  nb::object out = type.attr("__new__")(type);
  if (nb::hasattr(original, "__dict__")) {
    nb::object attributes = original.attr("__dict__");
    out.attr("__dict__").attr("update")(attributes);
  }
  std::vector<nb::object> slots;
  for_each_slot(original, [&](PyObject* value) { slots.push_back(nb::borrow(value)); });
  auto next = slots.begin();
  for_each_slot(out, [&](PyObject*& place) {
    nb::object former = nb::steal(place);
    place = (next++)->release().ptr();
  });
  return out;
}

nb::object list_like(nb::handle original) {
  return PyList_CheckExact(original.ptr()) ? nb::list() : empty_like(original);
}

nb::object dict_like(nb::handle original) {
  if (PyDict_CheckExact(original.ptr())) {
    return nb::dict();
  }
  nb::object out = empty_like(original);
  if (nb::hasattr(original, "default_factory")) {
    out.attr("default_factory") = original.attr("default_factory");
  }
  return out;
}

// Some versions of Python let C++ go deeper than a thread's stack goes.
constexpr int deepest = 1000;
thread_local int depth = 0;

}  // namespace

TreeDepth::TreeDepth() {
  if (depth == deepest) {
    PyErr_SetString(PyExc_RecursionError, "A tree of arrays is too deep, or holds itself.");
    throw nb::python_error();
  }
  depth++;
}

TreeDepth::~TreeDepth() { depth--; }

void for_each_item(nb::handle dict, FunctionRef<void(nb::handle key, nb::handle value)> f) {
  Py_ssize_t position = 0;
  PyObject *key, *value;
  Py_ssize_t size = PyDict_Size(dict.ptr());
  while (PyDict_Next(dict.ptr(), &position, &key, &value)) {
    nb::object held_key = nb::borrow(key), held_value = nb::borrow(value);
    f(held_key, held_value);
    if (PyDict_Size(dict.ptr()) != size) {
      throw std::runtime_error("A dictionary changed its size while its arrays were read.");
    }
  }
}

void tree_visit(nb::handle tree, const std::function<void(nb::handle)>& visit) {
  TreeDepth guard;
  PyObject* p = tree.ptr();
  if (PyList_Check(p) || PyTuple_Check(p)) {
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(p); i++) {
      tree_visit(nb::borrow(PySequence_Fast_GET_ITEM(p, i)), visit);
    }
  } else if (PyDict_Check(p)) {
    for_each_item(tree, [&](nb::handle, nb::handle value) { tree_visit(value, visit); });
  } else if (is_random_state(tree)) {
    visit(nb::cast(RandomState::key()));
  } else {
    visit(tree);
  }
}

nb::object tree_map(nb::handle tree, const std::function<nb::object(nb::handle)>& map) {
  TreeDepth guard;
  PyObject* p = tree.ptr();
  if (PyList_Check(p)) {
    nb::object out = list_like(tree);
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(p); i++) {
      nb::object item = tree_map(nb::borrow(PyList_GET_ITEM(p, i)), map);
      if (PyList_Append(out.ptr(), item.ptr()) != 0) {
        throw nb::python_error();
      }
    }
    return out;
  }
  if (PyTuple_Check(p)) {
    Py_ssize_t n = PyTuple_GET_SIZE(p);
    auto items = nb::steal<nb::tuple>(PyTuple_New(n));
    for (Py_ssize_t i = 0; i < n; i++) {
      PyTuple_SET_ITEM(items.ptr(), i, tree_map(PyTuple_GET_ITEM(p, i), map).release().ptr());
    }
    return tuple_like(tree, items);
  }
  if (PyDict_Check(p)) {
    nb::object out = dict_like(tree);
    for_each_item(tree, [&](nb::handle key, nb::handle value) { out[key] = tree_map(value, map); });
    return out;
  }
  if (is_random_state(tree)) {
    nb::list out;
    out.append(map(nb::cast(RandomState::key())));
    return out;
  }
  return map(tree);
}

std::vector<array> tree_arrays(nb::handle tree) {
  std::vector<array> out;
  tree_visit(tree, [&](nb::handle leaf) {
    if (auto* a = as_array(leaf)) {
      out.push_back(*a);
    }
  });
  return out;
}

std::vector<array> tree_arrays_only(nb::handle tree, const char* op) {
  std::vector<array> out;
  tree_visit(tree, [&](nb::handle leaf) {
    auto* a = as_array(leaf);
    check(a, op, "Expected arrays, or containers of arrays, got a value of type ",
          Py_TYPE(leaf.ptr())->tp_name, ".");
    out.push_back(*a);
  });
  return out;
}

nb::object tree_fill(nb::handle tree, const std::vector<array>& arrays, size_t& position) {
  return tree_map(tree, [&](nb::handle leaf) {
    return as_array(leaf) ? nb::cast(arrays.at(position++)) : nb::borrow(leaf);
  });
}

void tree_update(nb::handle tree, const std::vector<array>& arrays, size_t& position) {
  TreeDepth guard;
  PyObject* p = tree.ptr();
  auto update = [&](nb::handle child, auto&& put) {
    if (as_array(child)) {
      put(nb::cast(arrays.at(position++)));
    } else {
      tree_update(child, arrays, position);
    }
  };
  if (PyList_Check(p)) {
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(p); i++) {
      update(nb::borrow(PyList_GET_ITEM(p, i)), [&](nb::object v) {
        if (PyList_SetItem(p, i, v.release().ptr()) != 0) {
          throw nb::python_error();
        }
      });
    }
  } else if (PyTuple_Check(p)) {
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(p); i++) {
      // A tuple keeps its arrays: the handle takes the new value instead.
      nb::handle child = PyTuple_GET_ITEM(p, i);
      update(child, [&](const nb::object& v) {
        nb::inst_ptr<array>(child)->overwrite_descriptor(*as_array(v));
      });
    }
  } else if (PyDict_Check(p)) {
    for_each_item(tree, [&](nb::handle key, nb::handle child) {
      update(child, [&](const nb::object& v) {
        if (PyDict_SetItem(p, key.ptr(), v.ptr()) != 0) {
          throw nb::python_error();
        }
      });
    });
  } else if (is_random_state(tree)) {
    RandomState::set_key(arrays.at(position++));
  }
}

}  // namespace mlx::python
