// Memory of other libraries: arrays from objects with the buffer protocol or DLPack, and our
// arrays as such objects.
#pragma once

#include <optional>

#include "python/src/bindings.h"

namespace mlx::python {

/** Whether the object offers its memory (buffer protocol, DLPack, `__array__`). */
bool is_foreign_array(nb::handle value);

/**
 * A copy of the object's memory. float64 and complex128 become float32 and complex64 unless
 * `dtype` is given. Nothing if the object offers no memory; throws ValueError for element types
 * that have no dtype here.
 */
std::optional<array> from_foreign(nb::handle value, std::optional<Dtype> dtype);

/**
 * The object's own memory as an array, in any layout. Others may write to it later; arrays never
 * do. Throws ValueError where that takes a copy: for numbers and lists, another dtype, read-only
 * memory (which a view of the array could write to), or elements off their alignment.
 */
array share_foreign(nb::handle value, std::optional<Dtype> dtype);

/** The evaluated array. One value that fills a shape, as zeros do, gets memory for each element, so
 *  that others may write there; other broadcasts keep theirs. */
array own_constants(array a);

/** Fills in a Py_buffer over the evaluated array, read-only where elements share memory; the
 *  `getbuffer` slot of the array type. */
int get_buffer(PyObject* object, Py_buffer* view, int flags);
void release_buffer(PyObject* object, Py_buffer* view);

}  // namespace mlx::python
