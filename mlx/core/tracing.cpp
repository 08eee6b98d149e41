// The calling thread's depth of traces.
#include "mlx/core/tracing.h"

namespace mlx::core::detail {

namespace {
thread_local int depth = 0;
}

bool in_tracing() { return depth > 0; }
TracingScope::TracingScope() { depth++; }
TracingScope::~TracingScope() { depth--; }

}  // namespace mlx::core::detail
