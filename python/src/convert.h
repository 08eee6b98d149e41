// Between Python values and arrays: construction from numbers, nested lists and foreign arrays,
// the weak promotion of operands, and the way back to numbers, lists and NumPy.
#pragma once

#include <optional>
#include <utility>

#include "python/src/bindings.h"

namespace mlx::python {

/**
 * What `mx.array(value, dtype)` makes. Numbers and lists get int32 (int64 for large values),
 * float32, bool or complex64; NumPy's float64 and complex128 narrow unless `dtype` says otherwise.
 * Throws ValueError for anything else and for ragged lists.
 */
array make_array(nb::handle value, std::optional<Dtype> dtype = std::nullopt);

/** A value for a place of `dtype`, as in `x[i] = value`. As make_array, but ints that the dtype
 *  does not hold raise ValueError instead of wrapping. */
array make_value(nb::handle value, Dtype dtype);

[[noreturn]] void fail_uninitialized();

/** An operand without a partner. Throws TypeError if nothing can be made of it. */
array to_array(Operand value);

/**
 * The operand beside an array of dtype `other`: numbers and NumPy values are weak and take
 * that dtype unless they are of a higher kind (bool < int < float < complex). Nothing if the
 * value is no operand at all. Throws ValueError for an int that does not fit.
 */
std::optional<array> try_operand(nb::handle value, Dtype other);

/** As try_operand; throws TypeError instead of returning nothing. */
array to_array(Operand value, Dtype other);

/** Both operands of a binary op; weakness as above when just one of them is an array. */
std::pair<array, array> to_arrays(Operand a, Operand b);

/** Operands of a comparison: as to_arrays, but an int that the other's dtype does not hold is
 *  larger or smaller than all its values, not an error. */
std::pair<array, array> to_comparable(Operand a, Operand b);

/** An operand of which only the truth counts, so that an int of any size will do. */
array to_truth(Operand value);

/** The array inside a Python object, or nullptr. Throws ValueError for an object of the class whose
 *  `__init__` never ran, as in subclasses that forget to call it. */
inline const array* as_array(nb::handle value) {
  static const auto* type = reinterpret_cast<PyTypeObject*>(nb::type<array>().ptr());
  if (Py_TYPE(value.ptr()) != type &&
      !PyType_IsSubtype(Py_TYPE(value.ptr()), const_cast<PyTypeObject*>(type))) {
    return nullptr;
  }
  if (!nb::inst_ready(value)) {
    fail_uninitialized();
  }
  return nb::inst_ptr<array>(value);
}

// What evaluates takes arrays by value: another thread may give the Python object a new value in
// place while the GIL is released.

/** The value of a one-element array. */
nb::object to_scalar(array a);

/** Nested lists; a number for a 0-d array. */
nb::object to_list(array a);

/** A NumPy array that shares the memory. Throws TypeError for bfloat16, which NumPy lacks. */
nb::object to_numpy(array a);

/** Evaluates without the GIL; keyboard interrupts become Python errors. The caller holds a handle
 * of its own to `a`. */
void eval_unlocked(std::vector<array> arrays);
void eval_unlocked(const array& a);

}  // namespace mlx::python
