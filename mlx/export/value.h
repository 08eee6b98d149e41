// Parameters of primitives as plain values: what files hold of a
// primitive, and what it is made of again.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "mlx/dtype.h"
#include "mlx/export/bytes.h"

namespace mlx::core {

struct Value;
using Values = std::vector<Value>;

/** Enums are their names, optionals are lists of none or one, structs and tuples are lists. */
struct Value : std::variant<bool, int64_t, double, Dtype, std::string, Values> {
  using variant::variant;
};

/** Equal texts of `write_values` are equal values: floats are compared by their bits. */
void write_values(ByteWriter& to, const Values& values);
Values read_values(ByteReader& from);

}  // namespace mlx::core
