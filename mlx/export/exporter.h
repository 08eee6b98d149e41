// Collecting the traces of a function for a file or a callback, for callers with arguments in any
// form: the public exporters and the Python module.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "mlx/export.h"
#include "mlx/export/stored.h"
#include "mlx/export/trace.h"

namespace mlx::core {

/** Arguments in the order in which functions get them: those without a name first. */
using NamedArrays = std::vector<std::pair<std::string, array>>;

class TraceExporter {
 public:
  virtual ~TraceExporter() = default;

  /** Throws std::runtime_error for arguments that an earlier trace serves, or after `close`. */
  virtual void add(const ExportedCall& fun, const NamedArrays& arguments) = 0;
  virtual void close() = 0;
};

/** With `weights`, large constants go to that safetensors file beside `file`. */
std::unique_ptr<TraceExporter> file_exporter(std::string file, bool shapeless, std::string metadata,
                                             std::string weights = "");
std::unique_ptr<TraceExporter> callback_exporter(ExportCallback callback);

}  // namespace mlx::core
