// The primitives that files can hold, by name: how each is made again from its fields, and what it
// may be applied to.
#pragma once

#include <memory>
#include <string_view>
#include <typeinfo>
#include <vector>

#include "mlx/export/checks.h"
#include "mlx/export/value.h"
#include "mlx/primitives.h"
#include "mlx/transforms/control.h"

namespace mlx::core {

struct ExportRow {
  /** That of the class. */
  std::string_view name;
  const std::type_info* type;
  Values (*fields)(const Primitive& primitive);
  /** Throws std::runtime_error unless the values are the class's fields; graphs are those of
   * control flow. */
  std::shared_ptr<Primitive> (*make)(Stream s, const Values& fields,
                                     ControlPrimitive::Graphs graphs);
  /** Throws std::runtime_error unless `primitive`, of this class, may be applied as `node` says. */
  void (*check)(const Primitive& primitive, const NodeCheck& node);
};

/** Null for what cannot be exported. */
const ExportRow* export_row(const Primitive& primitive);
const ExportRow* export_row(std::string_view name);

}  // namespace mlx::core
