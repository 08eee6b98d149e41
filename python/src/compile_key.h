// What a trace of a Python function depends on beside its arrays, as words.
#pragma once

#include <cstdint>
#include <vector>

#include "python/src/bindings.h"

namespace mlx::python {

/**
 * Everything about arguments that a trace depends on, as words; arrays are set apart. Constants of
 * different type differ even if they are equal, and so do the zeros and NaNs of floats: a function
 * may tell them apart. Objects of subclasses differ by their attributes, too, as modules do by
 * whether they train. Runs no Python code, so nothing changes while it reads.
 */
class KeyWriter {
 public:
  using Key = std::vector<uint64_t>;

  /** Throws ValueError for what is neither a container, nor an array, nor a constant. */
  void add(nb::handle h);

  Key& key() { return key_; }
  std::vector<array>& arrays() { return arrays_; }
  /** Objects of which the key has the address; they must live as long as it is kept. */
  std::vector<nb::object>& named() { return named_; }

 private:
  enum Tag : uint64_t;

  void push(uint64_t a, uint64_t b);
  void add_address(Tag tag, PyObject* p);
  void add_type(PyObject* p);
  void add_attribute(PyObject* p);
  void add_set(PyObject* p);
  void add_sequence(PyObject* p, Tag tag, bool exact);
  void add_dict(PyObject* p);
  bool add_constant(nb::handle h);
  void add_text(Tag tag, PyObject* p);

  Key key_;
  std::vector<array> arrays_;
  std::vector<nb::object> named_;
};

}  // namespace mlx::python
