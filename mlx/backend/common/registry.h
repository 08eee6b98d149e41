// Which functions run a primitive on a backend's device, by the primitive's type. Each backend has
// a table, and each file of a family enters its own functions there.
#pragma once

#include <type_traits>
#include <typeinfo>
#include <vector>

#include "mlx/primitives.h"

namespace mlx::core {

/** Which rules a type of primitives has of its own or from a base that has some. */
struct TransformRules {
  bool jvp, vjp, vmap, output_shapes;
};

template <typename P>
constexpr TransformRules transform_rules() {
  return {!std::is_same_v<decltype(&P::jvp), decltype(&Primitive::jvp)>,
          !std::is_same_v<decltype(&P::vjp), decltype(&Primitive::vjp)>,
          !std::is_same_v<decltype(&P::vmap), decltype(&Primitive::vmap)>,
          !std::is_same_v<decltype(&P::output_shapes), decltype(&Primitive::output_shapes)>};
}

class PrimitiveTable {
 public:
  struct Entry {
    void (*eval)(Primitive&, const std::vector<array>&, std::vector<array>&) = nullptr;
    bool (*supports)(const Primitive&, const std::vector<array>&) = nullptr;
    const std::type_info* type = nullptr;
    TransformRules rules = {};
    void (*foresee)(const Primitive&, const std::vector<array>&,
                    const std::vector<array>&) = nullptr;
  };

  void enter(const Entry& entry) {
    size_t number = detail::type_number(*entry.type);
    if (number >= entries_.size()) {
      entries_.resize(number + 1);
    }
    entries_[number] = entry;
  }

  /** Null where there is no function for the primitive's type. */
  const Entry* find(const Primitive& primitive) const {
    size_t number = primitive.type_number();
    bool known = number < entries_.size() && entries_[number].eval;
    return known ? &entries_[number] : nullptr;
  }

  /** As Backend::supports: what is entered is supported unless its own function denies it. */
  bool supports(const Primitive& primitive, const std::vector<array>& inputs) const {
    if (primitive.type_number() == 0) {
      return true;
    }
    const Entry* entry = find(primitive);
    return entry && entry->supports(primitive, inputs);
  }

  template <typename F>
  void for_each(F&& f) const {
    for (auto& entry : entries_) {
      if (entry.eval) f(entry);
    }
  }

 private:
  std::vector<Entry> entries_;  // by number of the type
};

/** One static object of this kind per primitive enters it into a backend's table. */
template <typename P, PrimitiveTable& (*table)()>
class RegisterIn {
 public:
  using Eval = void (*)(P&, const std::vector<array>& inputs, std::vector<array>& outputs);
  using Supports = bool (*)(const P&, const std::vector<array>& inputs);
  using Foresee = void (*)(const P&, const std::vector<array>& inputs,
                           const std::vector<array>& outputs);

  /** Without `supports`, all inputs that the primitive takes are supported; `foresee`, if any,
   * makes what `eval` will take (see Backend::foresee). */
  explicit RegisterIn(Eval eval, Supports supports = nullptr, Foresee foresee = nullptr) {
    eval_ = eval;
    supports_ = supports;
    foresee_ = foresee;
    table().enter(
        {run, is_supported, &typeid(P), transform_rules<P>(), foresee ? look_ahead : nullptr});
  }

 private:
  static void run(Primitive& p, const std::vector<array>& inputs, std::vector<array>& outputs) {
    eval_(static_cast<P&>(p), inputs, outputs);
  }
  static bool is_supported(const Primitive& p, const std::vector<array>& inputs) {
    return !supports_ || supports_(static_cast<const P&>(p), inputs);
  }
  static void look_ahead(const Primitive& p, const std::vector<array>& inputs,
                         const std::vector<array>& outputs) {
    foresee_(static_cast<const P&>(p), inputs, outputs);
  }

  inline static Eval eval_ = nullptr;
  inline static Supports supports_ = nullptr;
  inline static Foresee foresee_ = nullptr;
};

}  // namespace mlx::core
