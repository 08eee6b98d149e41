// Results are looked at by the backend's own kernels, so that one text serves all devices, layouts
// and dtypes, and only one flag comes to the host.
#include "mlx/debug/nan_checks.h"

#include <numeric>

#include "mlx/backend/backend.h"
#include "mlx/core/errors.h"
#include "mlx/core/interrupt.h"
#include "mlx/core/origins.h"
#include "mlx/debug.h"
#include "mlx/primitives/distributed.h"
#include "mlx/primitives/elementwise.h"
#include "mlx/primitives/fused.h"
#include "mlx/primitives/joined.h"
#include "mlx/primitives/layout.h"
#include "mlx/primitives/quantized.h"
#include "mlx/primitives/reduce.h"
#include "mlx/utils.h"

namespace mlx::core::debug {

namespace {

/** Values made by one backend from arrays that are there, without a graph. */
class Maker {
 public:
  explicit Maker(const Stream& stream) : stream_(stream) {}

  array elementwise(ElementwiseOp op, const std::vector<array>& inputs, const Shape& shape) {
    Elementwise primitive(stream_, op, bool_);
    return run(primitive, inputs, shape);
  }

  array is_nan(const array& a) { return elementwise(ElementwiseOp::IsNan, {a}, a.shape()); }

  /** `flags` where `others` are not set. */
  array without(const array& flags, const array& others) {
    array unset = elementwise(ElementwiseOp::LogicalNot, {others}, others.shape());
    return elementwise(ElementwiseOp::LogicalAnd, {flags, unset}, flags.shape());
  }

  bool any(const array& flags) {
    std::vector<int> axes(flags.ndim());
    std::iota(axes.begin(), axes.end(), 0);
    Reduce primitive(stream_, ReduceOp::Any, axes, false);
    array found = axes.empty() ? flags : run(primitive, {flags}, {});
    auto done = backend().new_event(stream_);
    done->signal();
    while (!done->wait_for(interrupt_period)) {
    }
    return found.data<bool>()[0];
  }

 private:
  Backend& backend() { return *backend_of(stream_.device.type); }

  array run(BuiltinPrimitive& primitive, const std::vector<array>& inputs, const Shape& shape) {
    std::vector<array> outputs = {array(shape, bool_, nullptr, {})};
    backend().eval(primitive, inputs, outputs);
    return outputs[0];
  }

  Stream stream_;
};

bool may_have_nan(const array& a) { return a.size() > 0 && issubdtype(a.dtype(), inexact); }

/** Whether floats come out of bits, or out of another process. */
bool reads_data(const Primitive& primitive) {
  auto* elementwise = dynamic_cast<const Elementwise*>(&primitive);
  return dynamic_cast<const View*>(&primitive) || dynamic_cast<const Dequantize*>(&primitive) ||
         dynamic_cast<const distributed::AllReduce*>(&primitive) ||
         dynamic_cast<const distributed::RowExchange*>(&primitive) ||
         (elementwise && elementwise->op() == ElementwiseOp::FromFP8);
}

/** What has no inputs reads a file. What was fused was planned before the checks began. */
bool computes(const Primitive& primitive, const std::vector<array>& inputs) {
  bool builtin = primitive.type_number() != 0;
  bool is_view = builtin && static_cast<const BuiltinPrimitive&>(primitive).is_view();
  return !is_view && !inputs.empty() && !reads_data(primitive) &&
         !dynamic_cast<const Fused*>(&primitive) && !as_joined(primitive);
}

/** Whether `out` has a NaN that no input had. */
bool has_new_nan(const Primitive& primitive, const std::vector<array>& inputs, const array& out) {
  Maker maker(primitive.stream());
  array flags = maker.is_nan(out);
  if (!maker.any(flags)) {
    return false;
  }
  bool by_element = dynamic_cast<const Elementwise*>(&primitive) != nullptr;
  for (auto& in : inputs) {
    if (!may_have_nan(in)) {
      continue;
    }
    if (by_element) {
      flags = maker.without(flags, maker.is_nan(in));
    } else if (maker.any(maker.is_nan(in))) {
      return false;
    }
  }
  return !by_element || maker.any(flags);
}

void describe(std::ostream& os, const array& a) { os << a.dtype() << " " << a.shape(); }

std::string message(const Primitive& primitive, const std::vector<array>& inputs,
                    const array& out) {
  std::ostringstream os;
  os << "The first NaN: ";
  describe(os, out);
  os << " made of ";
  for (size_t i = 0; i < inputs.size(); i++) {
    os << (i > 0 ? ", " : "");
    describe(os, inputs[i]);
  }
  std::string origin = origin_of(out);
  os << (origin.empty() ? "." : ", built in " + origin + ".");
  return error_message(primitive.name(), os.str());
}

}  // namespace

void check_step(const Primitive& primitive, const std::vector<array>& inputs,
                const std::vector<array>& outputs) {
  if (!computes(primitive, inputs)) {
    return;
  }
  for (auto& out : outputs) {
    if (may_have_nan(out) && has_new_nan(primitive, inputs, out)) {
      throw NanError(message(primitive, inputs, out));
    }
  }
}

}  // namespace mlx::core::debug
