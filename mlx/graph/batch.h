// Running what was planned: the steps of one stream, in order.
#pragma once

#include <exception>
#include <memory>
#include <vector>

#include "mlx/array.h"
#include "mlx/primitives.h"

namespace mlx::core::detail {

struct Step {
  std::shared_ptr<Primitive> primitive;
  std::vector<array> inputs;
  std::vector<array> outputs;
  /** Work of other streams that has to be done first. */
  std::vector<Event> waits;
  /** Tells other streams that the step is done; valid only if one of them waits for it. */
  Event done;
};

/** Steps of a batch that are bound while those before them run. */
class LaterSteps {
 public:
  LaterSteps() = default;
  LaterSteps(const LaterSteps&) = delete;
  LaterSteps& operator=(const LaterSteps&) = delete;
  virtual ~LaterSteps() = default;

  /** Adds some of them behind `steps`; false if there are no more. */
  virtual bool add_some(std::vector<Step>& steps) = 0;
  /** Keeps with the outputs of all others why they will not run. */
  virtual void fail(const std::exception_ptr& reason) = 0;
};

/** Steps of one stream. `done` follows the last one. */
struct Batch {
  explicit Batch(Stream stream) : stream(stream), done(stream) {}

  Stream stream;
  std::vector<Step> steps;
  Event done;
  std::unique_ptr<LaterSteps> later;
  bool is_new = false;  // no batch of this plan has run before

  /**
   * Runs all steps. A failure is kept with the outputs it concerns; nothing is thrown. After an
   * interrupt, steps whose results nobody holds any more are left out. `is_nested` if they are part
   * of a step of a batch that runs.
   */
  void run(bool is_nested = false);

  /** Binds what is to be bound later. */
  void complete() noexcept;

 private:
  bool add_later() noexcept;
  void run(Step& step);
  bool run_parts(Step& step);
  void drop_unwanted(size_t next);
};

}  // namespace mlx::core::detail
