// Attributes that classes keep in `__slots__` instead of a dictionary.
#pragma once

#include <structmember.h>

#include "python/src/bindings.h"

namespace mlx::python {

/** Calls f with the place of each, which is null where the attribute is not set; in an order that
 *  follows from the object's type. */
template <typename F>
void for_each_slot(nb::handle object, const F& f) {
  for (PyTypeObject* type = Py_TYPE(object.ptr()); type; type = type->tp_base) {
    bool is_class = PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE);
    for (PyMemberDef* slot = is_class ? type->tp_members : nullptr; slot && slot->name; slot++) {
      if (slot->type == T_OBJECT_EX) {
        f(*reinterpret_cast<PyObject**>(reinterpret_cast<char*>(object.ptr()) + slot->offset));
      }
    }
  }
}

}  // namespace mlx::python
