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

PyObject* find_entry(PyObject* self, PyObject* name) {
  if (PyObject* entry = PyDict_GetItemWithError(self, name)) {
    return Py_NewRef(entry);
  }
  return PyErr_Occurred() ? nullptr : PyObject_GenericGetAttr(self, name);
}

PyTypeObject entries_type{};

/** Python gives subclasses the slow way that `__getattr__` takes, even where it is the one here,
 *  which is there for those who call it. They get the fast one back. */
PyObject* keep_fast(PyObject* made, PyObject* args, PyObject* kwargs) {
  auto* type = reinterpret_cast<PyTypeObject*>(made);
  nb::handle own = made, base = reinterpret_cast<PyObject*>(type->tp_base);
  try {
    bool same = own.attr("__getattr__").is(base.attr("__getattr__")) &&
                own.attr("__getattribute__").is(base.attr("__getattribute__"));
    if (same && type->tp_base->tp_getattro == find_attribute) {
      type->tp_getattro = find_attribute;
    }
    nb::handle entries = reinterpret_cast<PyObject*>(&entries_type);
    nb::object next = nb::handle(reinterpret_cast<PyObject*>(&PySuper_Type))(entries, own);
    return PyObject_Call(next.attr("__init_subclass__").ptr(), args, kwargs);
  } catch (nb::python_error& e) {
    e.restore();
    return nullptr;
  }
}

PyMethodDef methods[] = {
    {"__getattr__", find_entry, METH_O, "The entry of a name."},
    {"__init_subclass__", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(keep_fast)),
     METH_CLASS | METH_VARARGS | METH_KEYWORDS, nullptr},
    {},
};

}  // namespace

void bind_entries(nb::module_& m) {
  // As slots of its own: Python's classes inherit these, but reach those of dict by its methods.
  static PyMappingMethods mapping = *PyDict_Type.tp_as_mapping;
  static PySequenceMethods sequence = *PyDict_Type.tp_as_sequence;
  PyTypeObject& type = entries_type;
  Py_SET_REFCNT(reinterpret_cast<PyObject*>(&type), 1);
  type.tp_name = "mlx.core._Entries";
  type.tp_base = &PyDict_Type;
  type.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE;
  type.tp_getattro = find_attribute;
  type.tp_as_mapping = &mapping;
  type.tp_as_sequence = &sequence;
  type.tp_methods = methods;
  if (PyType_Ready(&type) < 0) {
    throw nb::python_error();
  }
  m.attr("_Entries") = nb::handle(reinterpret_cast<PyObject*>(&type));
}

}  // namespace mlx::python
