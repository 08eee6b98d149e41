// A primitive lists its parameters in one line; what whoever compares, prints or stores nodes has
// to know of it follows from that.
#pragma once

#include <ostream>
#include <tuple>
#include <typeinfo>

#include "mlx/primitives.h"
#include "mlx/primitives/fields.h"

namespace mlx::core {

/**
 * Base of a primitive `Self` that has `auto fields() const`: a tuple of references to all of its
 * parameters, in the order in which the constructor takes them after the stream.
 */
template <typename Self, typename Base = BuiltinPrimitive>
class Described : public Base {
 public:
  using Base::Base;

  bool is_equivalent(const Primitive& other) const final {
    return typeid(other) == typeid(Self) &&
           fields::equal(self().fields(), static_cast<const Self&>(other).fields());
  }

  size_t hash() const final {
    static const size_t type = typeid(Self).hash_code();
    return fields::hash(type, self().fields());
  }

  size_t type_number() const final {
    static const size_t number = detail::type_number(typeid(Self));
    return number;
  }

  void visit_fields(FieldVisitor& visitor) const final {
    std::apply(
        [&](const auto&... field) {
          static_assert(
              std::is_constructible_v<Self, Stream, std::decay_t<decltype(field)>...>,
              "fields() are the constructor's arguments, so that a stored node can be made again");
          (fields::visit(visitor, field), ...);
        },
        self().fields());
  }

 private:
  const Self& self() const { return static_cast<const Self&>(*this); }
};

/** `Name(first, second, …)`: the name and the parameters of a primitive that lists them. */
std::ostream& operator<<(std::ostream& os, const Primitive& primitive);

}  // namespace mlx::core
