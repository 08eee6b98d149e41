// Print options in Python: the precision of numbers, for good or inside a `with` block.
#include "python/src/bindings.h"

namespace mlx::python {

namespace {

/** Sets options on entry and puts back the former ones on exit. */
class PrintScope {
 public:
  explicit PrintScope(PrintOptions options) : wanted_(options) {}
  void enter() {
    former_ = get_global_formatter().format_options;
    set_printoptions(wanted_);
  }
  void leave() { set_printoptions(former_); }

 private:
  PrintOptions wanted_;
  PrintOptions former_;
};

}  // namespace

void bind_printing(nb::module_& m) {
  get_global_formatter().capitalize_bool = true;
  nb::class_<PrintOptions>(m, "PrintOptions", "How numbers are printed.")
      .def(
          "__init__", [](PrintOptions* self, int precision) { new (self) PrintOptions{precision}; },
          "precision"_a = -1)
      .def_rw("precision", &PrintOptions::precision,
              "Digits after the point; -1 for up to six significant digits.");
  nb::class_<PrintScope>(m, "PrintScope", "Print options inside a `with` block.")
      .def("__enter__", &PrintScope::enter)
      .def(
          "__exit__", [](PrintScope& self, nb::handle, nb::handle, nb::handle) { self.leave(); },
          "exc_type"_a = nb::none(), "exc_value"_a = nb::none(), "traceback"_a = nb::none());
  m.def(
       "set_printoptions", [](int precision) { set_printoptions(PrintOptions{precision}); },
       "precision"_a = -1,
       "Prints numbers with `precision` digits after the point; -1 restores the usual form.")
      .def(
          "get_printoptions", []() { return get_global_formatter().format_options; },
          "The options in use.")
      .def(
          "printoptions", [](int precision) { return PrintScope(PrintOptions{precision}); },
          "precision"_a = -1, "A context manager with the options of `set_printoptions`.");
}

}  // namespace mlx::python
