// Which functions run a primitive on a backend's device, by the primitive's type. Each backend has
// a table, and each file of a family enters its own functions there.
#pragma once

#include <vector>

#include "mlx/primitives.h"

namespace mlx::core {

class PrimitiveTable {
 public:
  struct Entry {
    void (*eval)(Primitive&, const std::vector<array>&, std::vector<array>&) = nullptr;
    bool (*supports)(const Primitive&, const std::vector<array>&) = nullptr;
  };

  void enter(const std::type_info& type, Entry entry) {
    size_t number = detail::type_number(type);
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

 private:
  std::vector<Entry> entries_;  // by number of the type
};

/** One static object of this kind per primitive enters it into a backend's table. */
template <typename P, PrimitiveTable& (*table)()>
class RegisterIn {
 public:
  using Eval = void (*)(P&, const std::vector<array>& inputs, std::vector<array>& outputs);
  using Supports = bool (*)(const P&, const std::vector<array>& inputs);

  /** Without `supports`, all inputs that the primitive takes are supported. */
  explicit RegisterIn(Eval eval, Supports supports = nullptr) {
    eval_ = eval;
    supports_ = supports;
    table().enter(typeid(P), {run, is_supported});
  }

 private:
  static void run(Primitive& p, const std::vector<array>& inputs, std::vector<array>& outputs) {
    eval_(static_cast<P&>(p), inputs, outputs);
  }
  static bool is_supported(const Primitive& p, const std::vector<array>& inputs) {
    return !supports_ || supports_(static_cast<const P&>(p), inputs);
  }

  inline static Eval eval_ = nullptr;
  inline static Supports supports_ = nullptr;
};

}  // namespace mlx::core
