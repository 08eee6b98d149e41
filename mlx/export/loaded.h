// A function from a file, ready to be called: what the public ImportedFunction and the Python
// module call.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "mlx/export/exporter.h"
#include "mlx/export/stored.h"
#include "mlx/stream.h"
#include "mlx/transforms/recording.h"

namespace mlx::core {

struct LoadedCall {
  std::vector<array> outputs;
  /** As the trace was exported with. */
  const std::string& structure;
};

/** Any number of threads may call it. */
struct LoadedFunction {
  /** Reads the file and checks all of it. */
  explicit LoadedFunction(const std::string& file);

  LoadedCall call(const NamedArrays& arguments);
  const std::string& metadata() const { return function_.metadata; }

 private:
  using RecordingPtr = std::shared_ptr<const detail::Recording>;

  /** The trace's graph for callers with the default stream `s`; made once for each. */
  RecordingPtr recording(size_t trace, const Stream& s);
  /** Checks the trace's graph at the shapes of `inputs`; once for each. */
  void check_at(size_t trace, const detail::Recording& graph, const std::vector<array>& inputs);

  StoredFunction function_;
  std::mutex mutex_;
  std::map<std::pair<size_t, Stream>, RecordingPtr> recordings_;
  /** Traces and extents of arguments that have been checked. */
  std::set<std::pair<size_t, std::vector<ShapeElem>>> checked_;
};

}  // namespace mlx::core
