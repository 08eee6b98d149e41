// Switching the modes: an observer of steps, plans without fusion and lines of nodes belong
// together.
#include "mlx/debug.h"

#include <mutex>

#include "mlx/backend/backend.h"
#include "mlx/core/origins.h"
#include "mlx/debug/nan_checks.h"
#include "mlx/graph/plan.h"
#include "mlx/utils.h"

namespace mlx::core {

namespace {

class NanChecks : public StepObserver {
 public:
  void before_step(const Primitive&, const std::vector<array>&) override {}
  void after_step(const Primitive& primitive, const std::vector<array>& inputs,
                  const std::vector<array>& outputs) override {
    debug::check_step(primitive, inputs, outputs);
  }
  bool reads_inputs_after_step() const override { return true; }
};

struct Modes {
  std::mutex mutex;
  DebugOptions options;
  NanChecks nan_checks;
};

Modes& modes() {
  static auto* all = new Modes;  // a stream's thread may be within it when the process ends
  return *all;
}

void set_nan_checks(bool on) {
  if (on) {
    add_step_observer(&modes().nan_checks);
    begin_origins();
  } else {
    remove_step_observer(&modes().nan_checks);
    end_origins();
  }
  detail::set_steps_apart(on);
}

[[maybe_unused]] const bool started = [] {
  if (env::get_var("MLX_NAN_CHECKS", 0) != 0) {
    set_debug({.nan_checks = true});
  }
  return true;
}();

}  // namespace

void set_debug(const DebugOptions& options) {
  std::lock_guard lock(modes().mutex);
  if (options.nan_checks != modes().options.nan_checks) {
    set_nan_checks(options.nan_checks);
  }
  modes().options = options;
}

DebugOptions debug_options() {
  std::lock_guard lock(modes().mutex);
  return modes().options;
}

}  // namespace mlx::core
