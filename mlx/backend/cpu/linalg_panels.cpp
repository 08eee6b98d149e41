// What a panel does to the blocks of columns on its right are tasks, which threads take as they
// come. The one that brings the next panel up to date factors it, while others still work on the
// rest. Nothing depends on who does what.
#include "mlx/backend/cpu/linalg_panels.h"

#include <algorithm>
#include <atomic>
#include <vector>

#include "mlx/backend/cpu/lu_kernels.h"
#include "mlx/backend/cpu/runtime/patience.h"
#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

namespace {

class PanelLoop {
 public:
  explicit PanelLoop(const PanelSteps& steps)
      : steps_(steps),
        panels_((steps.columns + lu_panel - 1) / lu_panel),
        tasks_((steps.all_columns + steps.columns_of_task - 1) / steps.columns_of_task) {}

  void run() {
    factor(0);
    if (end_of(0) < steps_.all_columns) {
      parallel_for(num_threads(), 1, [&](int64_t, int64_t) { work(); });
    }
  }

 private:
  struct Panel {
    std::atomic<int> awaited{0};     // tasks that bring its columns up to date
    std::atomic<int> unfinished{0};  // tasks that read it
  };

  int panel_count() const { return static_cast<int>(panels_.size()); }
  int task_count() const { return static_cast<int>(tasks_.size()); }
  int end_of(int panel) const { return std::min(steps_.columns, (panel + 1) * lu_panel); }
  int first_task(int panel) const { return end_of(panel) / steps_.columns_of_task; }

  /** The end of the tasks whose columns the next panel needs. */
  int urgent_end(int panel) const {
    if (panel + 1 == panel_count()) {
      return first_task(panel);
    }
    return (end_of(panel + 1) + steps_.columns_of_task - 1) / steps_.columns_of_task;
  }

  void work() {
    for (int panel = 0; panel < panel_count() && end_of(panel) < steps_.all_columns; panel++) {
      Patience patience;
      while (factored_.load(std::memory_order_acquire) <= panel) {
        patience.wait();
      }
      while (!take_tasks(panel)) {
        patience.wait();
      }
    }
  }

  /** Those the next panel waits for come first, then those that this thread had before, whose
   *  columns are in its cache. Returns whether all have been taken. */
  bool take_tasks(int panel) {
    int threads = num_threads(), urgent = urgent_end(panel);
    bool all = true;
    for (int task = first_task(panel); task < urgent; task++) {
      all &= take(task, panel);
    }
    for (int shift = 0; shift < threads; shift++) {
      int first = (thread_index() + shift - urgent % threads + threads) % threads;
      for (int task = urgent + first; task < task_count(); task += threads) {
        all &= take(task, panel);
      }
    }
    return all;
  }

  /** Does a task unless another thread does, or has not finished with its columns. Returns whether
   *  it has been taken. */
  bool take(int task, int panel) {
    int done = tasks_[task].load(std::memory_order_acquire);
    if (done != 2 * panel) {
      return done > 2 * panel;
    }
    if (!tasks_[task].compare_exchange_strong(done, done + 1, std::memory_order_acquire)) {
      return done > 2 * panel;
    }
    int width = steps_.columns_of_task, begin = std::max(task * width, end_of(panel));
    steps_.apply(panel, begin, std::min(steps_.all_columns, (task + 1) * width) - begin);
    tasks_[task].store(2 * panel + 2, std::memory_order_release);
    panels_[panel].unfinished.fetch_sub(1, std::memory_order_release);
    if (task < urgent_end(panel) &&
        panels_[panel + 1].awaited.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      factor(panel + 1);
    }
    return true;
  }

  void factor(int panel) {
    panels_[panel].unfinished = task_count() - first_task(panel) + 1;
    if (panel + 1 < panel_count()) {
      panels_[panel + 1].awaited = urgent_end(panel) - first_task(panel);
    }
    wait_for_place(panel);
    steps_.factor(panel);
    factored_.store(panel + 1, std::memory_order_release);
    steps_.finish(panel);
    panels_[panel].unfinished.fetch_sub(1, std::memory_order_release);
  }

  /** The panel that lies there has no tasks that nobody has taken, but some may be running. */
  void wait_for_place(int panel) const {
    Patience patience;
    while (panel >= kept_panels &&
           panels_[panel - kept_panels].unfinished.load(std::memory_order_acquire) > 0) {
      patience.wait();
    }
  }

  const PanelSteps& steps_;
  std::vector<Panel> panels_;
  std::vector<std::atomic<int>> tasks_;  // twice the panels that were applied, and 1 while one is
  std::atomic<int> factored_{0};
};

}  // namespace

void run_panels(const PanelSteps& steps) { PanelLoop(steps).run(); }

}  // namespace mlx::core::cpu
