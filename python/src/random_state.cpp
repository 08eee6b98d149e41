// The calling thread's sequence of keys, as a Python sequence of one.
#include "python/src/random_state.h"

#include "mlx/random.h"

namespace mlx::python {

namespace {

void check_index(Py_ssize_t index) {
  if (index != 0 && index != -1) {
    throw nb::index_error("random.state has one element");
  }
}

}  // namespace

array RandomState::key() { return random::KeySequence::default_().state(); }

void RandomState::set_key(const array& key) { random::KeySequence::default_().set_state(key); }

void bind_random_state(nb::module_& random) {
  nb::class_<RandomState>(random, "RandomState",
                          "A sequence of one: the key of the calling thread's next draw.")
      .def("__len__", [](const RandomState&) { return 1; })
      .def(
          "__getitem__",
          [](const RandomState&, Py_ssize_t index) {
            check_index(index);
            return RandomState::key();
          },
          "index"_a)
      .def(
          "__setitem__",
          [](const RandomState&, Py_ssize_t index, const array& key) {
            check_index(index);
            RandomState::set_key(key);
          },
          "index"_a, "key"_a)
      .def("__repr__", [](const RandomState&) {
        return "[" + std::string(nb::repr(nb::cast(RandomState::key())).c_str()) + "]";
      });
  random.attr("state") = nb::cast(RandomState());
  random.def(
      "__getattr__",
      [](const std::string& name) -> nb::object {
        if (name != "state") {
          throw nb::attribute_error(
              ("module 'mlx.core.random' has no attribute '" + name + "'").c_str());
        }
        return nb::module_::import_("mlx.core").attr("random").attr("state");
      },
      "name"_a, nb::sig("def __getattr__(name: str) -> typing.Any"));
}

}  // namespace mlx::python
