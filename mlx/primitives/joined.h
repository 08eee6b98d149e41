// What planning makes of steps that need nothing of each other, of one sort or reading the same:
// they run as one, with one launch where that pays. It exists only in plans, never in the graphs
// that transforms see.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "mlx/primitives.h"

namespace mlx::core {

/** One of the steps, with its arrays. */
struct JoinedPart {
  Primitive& primitive;
  std::span<const array> inputs;
  std::span<array> outputs;
};

/** Inputs and outputs: those of the first step, then those of the second, and so on. */
class Joined : public BuiltinPrimitive {
 public:
  struct Member {
    std::shared_ptr<Primitive> primitive;
    size_t inputs, outputs;
  };

  Joined(Stream stream, std::vector<Member> members)
      : BuiltinPrimitive(stream), members_(std::move(members)) {}

  const char* name() const override { return "Joined"; }
  size_t type_number() const override {
    static const size_t number = detail::type_number(typeid(Joined));
    return number;
  }

  const std::vector<Member>& members() const { return members_; }
  std::vector<JoinedPart> parts(std::span<const array> inputs, std::span<array> outputs) const;

 private:
  std::vector<Member> members_;
};

/** The primitive as a joined one, or nullptr. */
inline const Joined* as_joined(const Primitive& primitive) {
  static const size_t number = detail::type_number(typeid(Joined));
  return primitive.type_number() == number ? static_cast<const Joined*>(&primitive) : nullptr;
}

/** Runs the parts one after the other; a failure belongs to the outputs of its part alone. */
template <typename F>
void run_apart(const std::vector<JoinedPart>& parts, F&& run) {
  for (auto& part : parts) {
    try {
      run(part);
    } catch (...) {
      for (auto& out : part.outputs) out.set_error(std::current_exception());
    }
  }
}

}  // namespace mlx::core
