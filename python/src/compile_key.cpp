// Walks over arguments and writes down what they are.
#include "python/src/compile_key.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "mlx/core/errors.h"
#include "python/src/convert.h"
#include "python/src/random_state.h"
#include "python/src/slots.h"
#include "python/src/trees.h"

namespace mlx::python {

enum KeyWriter::Tag : uint64_t {
  tag_array = 1,
  tag_list,
  tag_tuple,
  tag_dict,
  tag_set,
  tag_text,
  tag_bool,
  tag_int,
  tag_long_int,
  tag_float,
  tag_none,
  tag_dtype,
  tag_type,
  tag_attributes,
  tag_slot,
  tag_object,
};

namespace {

/** No collection while it lives: one runs finalizers, which may change what is being read. */
class CollectorPause {
 public:
  CollectorPause() : was_on_(PyGC_Disable()) {}
  ~CollectorPause() {
    if (was_on_) PyGC_Enable();
  }
  CollectorPause(const CollectorPause&) = delete;
  CollectorPause& operator=(const CollectorPause&) = delete;

 private:
  int was_on_;
};

}  // namespace

void KeyWriter::add(nb::handle h) {
  PyObject* p = h.ptr();
  if (auto* a = as_array(h)) {
    key_.push_back(tag_array);
    arrays_.push_back(*a);
  } else if (PyTuple_Check(p)) {
    add_sequence(p, tag_tuple, PyTuple_CheckExact(p));
  } else if (PyList_Check(p)) {
    add_sequence(p, tag_list, PyList_CheckExact(p));
  } else if (PyDict_Check(p)) {
    add_dict(p);
  } else if (is_random_state(h)) {
    push(tag_list, 1);
    key_.push_back(tag_array);
    arrays_.push_back(RandomState::key());
  } else {
    check(add_constant(h), "compile",
          "Arguments must be trees of arrays and constants (ints, floats, bools, strings, None), "
          "got a value of type ",
          Py_TYPE(p)->tp_name, ".");
  }
}

void KeyWriter::push(uint64_t a, uint64_t b) {
  key_.push_back(a);
  key_.push_back(b);
}

void KeyWriter::add_address(Tag tag, PyObject* p) {
  push(tag, reinterpret_cast<uint64_t>(p));
  named_.push_back(nb::borrow(p));
}

/** Precedes a value of a subclass, which may behave in its own way: its type and its attributes. */
void KeyWriter::add_type(PyObject* p) {
  TreeDepth guard;
  add_address(tag_type, reinterpret_cast<PyObject*>(Py_TYPE(p)));
  for_each_slot(p, [&](PyObject* value) {
    key_.push_back(tag_slot);
    add_attribute(value ? value : Py_Ellipsis);
  });
  if (Py_TYPE(p)->tp_dictoffset == 0) {
    return;
  }
  CollectorPause pause;
  nb::object attributes = nb::steal(PyObject_GenericGetDict(p, nullptr));
  if (!attributes.is_valid()) {
    nb::raise_python_error();
  }
  push(tag_attributes, PyDict_Size(attributes.ptr()));
  Py_ssize_t position = 0;
  PyObject *name, *value;
  while (PyDict_Next(attributes.ptr(), &position, &name, &value)) {
    add_attribute(name);
    add_attribute(value);
  }
}

/** Attributes may be anything: what is no constant counts by which object it is. */
void KeyWriter::add_attribute(PyObject* p) {
  if (PyAnySet_CheckExact(p)) {
    add_set(p);
  } else if (!add_constant(p)) {
    add_address(tag_object, p);
  }
}

/** In an order that follows from the elements. */
void KeyWriter::add_set(PyObject* p) {
  TreeDepth guard;
  CollectorPause pause;
  KeyWriter elements;
  std::vector<Key> keys;
  for (nb::handle element : nb::handle(p)) {
    elements.add_attribute(element.ptr());
    keys.push_back(std::move(elements.key_));
    elements.key_.clear();
  }
  std::sort(keys.begin(), keys.end());
  push(tag_set, keys.size());
  for (auto& key : keys) {
    key_.insert(key_.end(), key.begin(), key.end());
  }
  std::move(elements.named_.begin(), elements.named_.end(), std::back_inserter(named_));
}

void KeyWriter::add_sequence(PyObject* p, Tag tag, bool exact) {
  TreeDepth guard;
  if (!exact) {
    add_type(p);
  }
  Py_ssize_t n = PySequence_Fast_GET_SIZE(p);
  push(tag, n);
  for (Py_ssize_t i = 0; i < n; i++) {
    add(PySequence_Fast_GET_ITEM(p, i));
  }
}

void KeyWriter::add_dict(PyObject* p) {
  TreeDepth guard;
  if (!PyDict_CheckExact(p)) {
    add_type(p);
  }
  push(tag_dict, PyDict_Size(p));
  Py_ssize_t position = 0;
  PyObject *key, *value;
  while (PyDict_Next(p, &position, &key, &value)) {
    add(key);
    add(value);
  }
}

/** False for what is no constant. */
bool KeyWriter::add_constant(nb::handle h) {
  PyObject* p = h.ptr();
  bool exact = PyUnicode_CheckExact(p) || PyBool_Check(p) || PyLong_CheckExact(p) ||
               PyFloat_CheckExact(p) || h.is_none() || instance_of<Dtype>(h);
  if (!exact) {
    if (!PyUnicode_Check(p) && !PyLong_Check(p) && !PyFloat_Check(p)) {
      return false;
    }
    add_type(p);
  }
  if (PyUnicode_Check(p)) {
    add_text(tag_text, p);
  } else if (PyBool_Check(p)) {
    push(tag_bool, p == Py_True);
  } else if (PyLong_Check(p)) {
    int overflow = 0;
    int64_t v = PyLong_AsLongLongAndOverflow(p, &overflow);
    if (overflow == 0) {
      push(tag_int, static_cast<uint64_t>(v));
    } else {
      nb::object digits = nb::steal(PyNumber_ToBase(p, 16));
      add_text(tag_long_int, digits.ptr());
    }
  } else if (PyFloat_Check(p)) {
    push(tag_float, std::bit_cast<uint64_t>(PyFloat_AS_DOUBLE(p)));
  } else if (h.is_none()) {
    key_.push_back(tag_none);
  } else {
    push(tag_dtype, static_cast<uint64_t>(instance_of<Dtype>(h)->val()));
  }
  return true;
}

void KeyWriter::add_text(Tag tag, PyObject* p) {
  // By its characters in memory: any str will do, also one that is no Unicode.
  auto width = static_cast<size_t>(PyUnicode_KIND(p));
  size_t bytes = width * static_cast<size_t>(PyUnicode_GET_LENGTH(p));
  push(tag, bytes << 3 | width);
  const char* data = static_cast<const char*>(PyUnicode_DATA(p));
  for (size_t i = 0; i < bytes; i += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, data + i, std::min(sizeof(word), bytes - i));
    key_.push_back(word);
  }
}

}  // namespace mlx::python
