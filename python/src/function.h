// Callables that transforms return: one Python class for all of them, visible to the garbage
// collector, so that functions and models that refer to each other in a circle are freed.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "python/src/bindings.h"

namespace mlx::python {

/** What a transformed function does when it is called. */
class Transformed {
 public:
  explicit Transformed(nb::object fun) : fun_(std::move(fun)) {}
  virtual ~Transformed() = default;
  virtual nb::object call(const nb::args& args, const nb::kwargs& kwargs) = 0;
  /** All Python objects held, for the garbage collector. */
  virtual std::vector<nb::object*> references() { return {&fun_}; }
  const nb::object& fun() const { return fun_; }

 protected:
  nb::object fun_;
};

/** The Python object around it. */
struct TransformedFunction {
  std::unique_ptr<Transformed> body;
  std::vector<nb::object*> references() {
    return body ? body->references() : decltype(body->references()){};
  }
};

void bind_transformed_function(nb::module_& m);

template <typename T, typename... Args>
nb::object make_transformed(Args&&... args) {
  return nb::cast(TransformedFunction{std::make_unique<T>(std::forward<Args>(args)...)});
}

/** Slots that let the collector see what a bound type with `references()` holds. */
template <typename T>
int traverse_references(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  if (nb::inst_ready(self)) {
    for (nb::object* held : nb::inst_ptr<T>(self)->references()) {
      Py_VISIT(held->ptr());
    }
  }
  return 0;
}

template <typename T>
int clear_references(PyObject* self) {
  std::vector<nb::object>
      taken;  // dropped last: that may run Python code, which may change anything
  if (nb::inst_ready(self)) {
    for (nb::object* held : nb::inst_ptr<T>(self)->references()) {
      taken.push_back(std::move(*held));
    }
  }
  return 0;
}

template <typename T>
inline PyType_Slot collector_slots[] = {
    {Py_tp_traverse, reinterpret_cast<void*>(traverse_references<T>)},
    {Py_tp_clear, reinterpret_cast<void*>(clear_references<T>)},
    {0, nullptr},
};

/** Throws TypeError unless the object can be called. */
void check_callable(nb::handle fun, const char* op);

/**
 * One call of a Python function over flat arrays, for C++ transforms that may keep it inside a
 * graph: arguments are put back into their trees, and the result is taken apart. It may end with
 * the graph, on any thread.
 */
class FlatCall {
 public:
  FlatCall(nb::object fun, const nb::args& args, const nb::kwargs& kwargs);
  ~FlatCall();
  FlatCall(const FlatCall&) = delete;
  FlatCall& operator=(const FlatCall&) = delete;

  /** The arrays of all arguments, positional ones first. */
  const std::vector<array>& inputs() const { return inputs_; }
  size_t positional() const { return positional_; }

  /** Calls the function with these arrays in place of the inputs. */
  std::vector<array> operator()(const std::vector<array>& arrays);

  /** The call as what a transform of C++ takes, by which others find it again. */
  struct Run {
    std::shared_ptr<FlatCall> flat;
    std::vector<array> operator()(const std::vector<array>& arrays) const {
      return (*flat)(arrays);
    }
  };

  /** The Python objects behind `fun`, for the garbage collector: none unless it is a `Run` whose
   *  call nobody but `fun` and its rules holds. */
  static std::vector<nb::object*> references(
      const std::function<std::vector<array>(const std::vector<array>&)>& fun);
  /** To be called when a transform has taken the call and given the rest back. */
  static void note_holders(const std::shared_ptr<FlatCall>& flat) {
    flat->holders_ = flat.use_count() - 1;
  }

  /** Rules of its own, or None. */
  nb::object vjp, jvp, vmap;

  /** The positional arguments with other arrays: one of them alone, several as a tuple. */
  nb::object primals(const std::vector<array>& arrays) const;
  /** The same containers with any leaves, as tangents or axes. */
  nb::object primals_like(const std::function<nb::object(size_t)>& leaf) const;
  /** Arrays in the containers of the first call's result. */
  nb::object result(const std::vector<array>& arrays) const;
  /** The first call's result with its own arrays. */
  const nb::object& first_result() const { return result_; }

 private:
  nb::object fun_;
  nb::object args_;
  nb::object kwargs_;
  nb::object result_;
  std::vector<array> inputs_;
  size_t positional_;
  long holders_ = 0;
};

}  // namespace mlx::python
