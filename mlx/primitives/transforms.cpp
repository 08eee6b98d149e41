// Rules of the nodes that exist for transforms.
#include "mlx/primitives/transforms.h"

#include <algorithm>
#include <atomic>
#include <typeinfo>

#include "mlx/core/errors.h"
#include "mlx/core/graph_lock.h"
#include "mlx/core/tracing.h"
#include "mlx/ops.h"
#include "mlx/primitives/rearrange.h"
#include "mlx/transforms.h"

namespace mlx::core {

std::vector<array> Identity::jvp(const std::vector<array>&, const std::vector<array>& tangents,
                                 const std::vector<int>&) {
  return tangents;
}

std::vector<array> Identity::vjp(const std::vector<array>&, const std::vector<array>& cotangents,
                                 const std::vector<int>&, const std::vector<array>&) {
  return cotangents;
}

std::pair<std::vector<array>, std::vector<int>> Identity::vmap(const std::vector<array>& inputs,
                                                               const std::vector<int>& axes) {
  return {inputs, axes};
}

std::vector<Shape> Identity::output_shapes(const std::vector<array>& inputs) {
  return {inputs[0].shape()};
}

namespace {

std::vector<array> concatenated(std::vector<array> a, const std::vector<array>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

std::vector<array> some(const std::vector<array>& arguments, const std::vector<int>& argnums) {
  std::vector<array> chosen;
  for (int i : argnums) chosen.push_back(arguments[i]);
  return chosen;
}

/** The function of some of its arguments, the others being what they are. */
ArraysFn of_some(const ArraysFn& fun, const std::vector<array>& arguments,
                 const std::vector<int>& argnums) {
  return [fun, arguments, argnums](const std::vector<array>& values) {
    auto all = arguments;
    for (size_t k = 0; k < argnums.size(); k++) {
      all[argnums[k]] = values[k];
    }
    return fun(all);
  };
}

void check_count(const char* rule, size_t got, size_t wanted) {
  check(got == wanted, "custom_function", "The ", rule, " rule returned ", got, " arrays where ",
        wanted, " are needed.");
}

}  // namespace

namespace {

std::atomic<CallKeeper> call_keeper{nullptr};

}  // namespace

void set_call_keeper(CallKeeper keeper) { call_keeper = keeper; }

std::shared_ptr<const void> keep_call(const std::shared_ptr<const CustomCall>& call) {
  CallKeeper keeper = call_keeper;
  return keeper && call ? keeper(call) : call;
}

std::vector<array> CustomTransforms::apply(const std::shared_ptr<const CustomCall>& call,
                                           const std::vector<array>& arguments) {
  auto results = call->fun(arguments);
  auto inputs = concatenated(arguments, results);
  bool traced =
      std::any_of(inputs.begin(), inputs.end(), [](const array& a) { return a.is_tracer(); });
  auto& rules = call->rules;
  if (!traced || results.empty() || (!rules.vjp && !rules.jvp && !rules.vmap)) {
    return results;
  }
  std::vector<Shape> shapes;
  std::vector<Dtype> dtypes;
  for (auto& r : results) {
    shapes.push_back(r.shape());
    dtypes.push_back(r.dtype());
  }
  Stream stream = stream_of(results[0]);
  auto primitive = std::make_shared<CustomTransforms>(stream, arguments.size(), call);
  auto outputs = array::make_arrays(std::move(shapes), dtypes, primitive, inputs);
  detail::keep_while_traced(call);
  return outputs;
}

std::shared_ptr<const CustomCall> CustomTransforms::call_in_trace() const {
  auto call = call_.lock();
  internal_check(call != nullptr, "rules are asked for after their trace");
  return call;
}

std::vector<array> CustomTransforms::vjp(const std::vector<array>& primals,
                                         const std::vector<array>& cotangents,
                                         const std::vector<int>& argnums,
                                         const std::vector<array>& outputs) {
  auto call = call_in_trace();
  auto arguments = arguments_of(primals);
  if (!call->rules.vjp) {
    return core::vjp(of_some(call->fun, arguments, argnums), some(arguments, argnums), cotangents)
        .second;
  }
  auto all = (*call->rules.vjp)(arguments, cotangents, outputs);
  check_count("vjp", all.size(), arguments_);
  std::vector<array> grads;
  for (int i : argnums) {
    grads.push_back(all[i]);
  }
  return grads;
}

std::vector<array> CustomTransforms::jvp(const std::vector<array>& primals,
                                         const std::vector<array>& tangents,
                                         const std::vector<int>& argnums) {
  auto call = call_in_trace();
  auto arguments = arguments_of(primals);
  if (call->rules.jvp) {
    auto results = (*call->rules.jvp)(arguments, tangents, argnums);
    check_count("jvp", results.size(), primals.size() - arguments_);
    return results;
  }
  return core::jvp(of_some(call->fun, arguments, argnums), some(arguments, argnums), tangents)
      .second;
}

namespace {

std::shared_ptr<const CustomCall> batched(const std::shared_ptr<const CustomCall>& call) {
  auto batch = std::make_shared<CustomCall>();
  batch->inner = keep_call(call);
  const CustomCall* inner = call.get();
  batch->fun = [inner](const std::vector<array>& in) { return core::vmap(inner->fun)(in); };
  if (inner->rules.vjp) {
    batch->rules.vjp = [inner](const std::vector<array>& primals,
                               const std::vector<array>& cotangents,
                               const std::vector<array>& outputs) {
      size_t p = primals.size();
      size_t c = cotangents.size();
      auto flat = [inner, p, c](const std::vector<array>& in) {
        return (*inner->rules.vjp)({in.begin(), in.begin() + p},
                                   {in.begin() + p, in.begin() + p + c},
                                   {in.begin() + p + c, in.end()});
      };
      return core::vmap(ArraysFn(flat))(concatenated(concatenated(primals, cotangents), outputs));
    };
  }
  if (inner->rules.jvp) {
    batch->rules.jvp = [inner](const std::vector<array>& primals,
                               const std::vector<array>& tangents,
                               const std::vector<int>& argnums) {
      size_t p = primals.size();
      auto flat = [inner, &argnums, p](const std::vector<array>& in) {
        return (*inner->rules.jvp)({in.begin(), in.begin() + p}, {in.begin() + p, in.end()},
                                   argnums);
      };
      return core::vmap(ArraysFn(flat))(concatenated(primals, tangents));
    };
  }
  return batch;
}

}  // namespace

std::pair<std::vector<array>, std::vector<int>> CustomTransforms::vmap(
    const std::vector<array>& inputs, const std::vector<int>& axes) {
  auto call = call_in_trace();
  auto arguments = arguments_of(inputs);
  std::vector<int> argument_axes(axes.begin(), axes.begin() + arguments_);
  if (call->rules.vmap) {
    auto results = (*call->rules.vmap)(arguments, argument_axes);
    check_count("vmap", results.first.size(), inputs.size() - arguments_);
    return results;
  }
  // What the function captured may be mapped where no argument is.
  int batch = batch_extent(inputs, axes);
  auto outputs =
      apply(batched(call), all_batch_first(arguments, argument_axes, batch, to_stream({})));
  std::vector<int> output_axes(outputs.size(), 0);
  return {std::move(outputs), std::move(output_axes)};
}

std::shared_ptr<const CustomCall> call_of(const Primitive& primitive) {
  return typeid(primitive) == typeid(CustomTransforms)
             ? static_cast<const CustomTransforms&>(primitive).call()
             : nullptr;
}

std::vector<Shape> CustomTransforms::output_shapes(const std::vector<array>& inputs) {
  std::vector<Shape> shapes;
  for (size_t i = arguments_; i < inputs.size(); i++) {
    shapes.push_back(inputs[i].shape());
  }
  return shapes;
}

}  // namespace mlx::core
