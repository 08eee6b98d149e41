// The base of nn.Module: a dict whose entries are found as attributes, too. Models look up their
// layers and weights with every call, and Python's own way to that goes through an exception.
#include "python/src/bindings.h"

namespace mlx::python {

namespace {

PyObject* find_attribute(PyObject* self, PyObject* name) {
  constexpr int quietly = 1;
  if (PyObject* found = _PyObject_GenericGetAttrWithDict(self, name, nullptr, quietly)) {
    return found;
  }
  PyObject* entry = PyErr_Occurred() ? nullptr : PyDict_GetItemWithError(self, name);
  if (entry) {
    return Py_NewRef(entry);
  }
  return PyErr_Occurred() ? nullptr : PyObject_GenericGetAttr(self, name);  // raises as usual
}

}  // namespace

void bind_entries(nb::module_& m) {
  static PyTypeObject type{};
  Py_SET_REFCNT(reinterpret_cast<PyObject*>(&type), 1);
  type.tp_name = "mlx.core._Entries";
  type.tp_base = &PyDict_Type;
  type.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE;
  type.tp_getattro = find_attribute;
  if (PyType_Ready(&type) < 0) {
    throw nb::python_error();
  }
  m.attr("_Entries") = nb::handle(reinterpret_cast<PyObject*>(&type));
}

}  // namespace mlx::python
