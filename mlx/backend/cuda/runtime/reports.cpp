// Slots in pinned memory for each stream. A slot serves a new kernel only after the kernel before
// it is done, and what that one reported has been taken along by then. It is always the first of
// those that are free: steps that repeat then report to the same places, and their kernels need no
// new arguments.
#include "mlx/backend/cuda/runtime/reports.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <stdexcept>
#include <unordered_map>
#include <vector>

#include "mlx/backend/common/linalg.h"
#include "mlx/backend/cuda/runtime/owned.h"
#include "mlx/backend/cuda/runtime/streams.h"
#include "mlx/core/errors.h"

namespace mlx::core::cuda {

namespace {

using kernels::Fault;

constexpr uint32_t slots = 4096;
// Reports are opened before their kernels are queued, a few at a time.
constexpr size_t most_unqueued = 64;

std::string text_of(const Fault& fault) {
  const char* op = kernels::fault_op_name(fault.op);
  switch (fault.op) {
    case kernels::FaultOp::gather_mm:
    case kernels::FaultOp::gather_qmm:
      return error_message(op, "Index ", fault.index, " is out of bounds for ", fault.extent,
                           " matrices.");
    case kernels::FaultOp::segmented_mm:
      return error_message(op, "Segment bound ", fault.index, " is out of range for a depth of ",
                           fault.extent, ".");
    case kernels::FaultOp::masked_scatter:
      return error_message(op, "The mask has ", fault.index, " true elements, but there are ",
                           "values for ", fault.extent, " only.");
    case kernels::FaultOp::slice_update:
      return error_message(op, "A slice that starts at ", fault.index, " leaves axis ", fault.axis,
                           ": its start is not in [0, ", fault.extent, "].");
    default:
      return error_message(op, "Index ", fault.index, " is out of range for axis ", fault.axis,
                           " with size ", fault.extent, ".");
  }
}

/** What the info code of a matrix says; nothing for faults of another sort. */
std::string (*explanation_of(kernels::FaultOp op))(int) {
  switch (op) {
    case kernels::FaultOp::cholesky:
      return not_positive;
    case kernels::FaultOp::solve_triangular:
      return zero_diagonal;
    case kernels::FaultOp::solve:
    case kernels::FaultOp::inv:
      return zero_pivot;
    case kernels::FaultOp::svd:
    case kernels::FaultOp::eigh:
    case kernels::FaultOp::eig:
      return not_converged;
    default:
      return nullptr;
  }
}

std::exception_ptr exception_of(const Fault& fault) {
  auto explain = explanation_of(fault.op);
  if (!explain) {
    return std::make_exception_ptr(std::out_of_range(text_of(fault)));
  }
  std::string why = explain(static_cast<int>(fault.axis));
  return std::make_exception_ptr(std::runtime_error(
      matrix_failure(kernels::fault_op_name(fault.op), fault.index, fault.extent, why)));
}

/** The slot of one kernel, and which of all kernels it is. */
struct Report {
  uint32_t slot;
  uint64_t number;
};

class FaultSlots {
 public:
  FaultSlots() {
    std::memset(memory_.get(), 0, slots * sizeof(Fault));
    for (uint32_t i = 0; i < slots; i++) free_.push_back(i);  // a heap as it is
  }

  /** For a kernel whose work ends with `done`. */
  Report open(const Event& done, const Stream& s) {
    std::lock_guard lock(mutex_);
    take_back([](const Event& e) { return e.valid() && e.is_known_signaled(); });
    if (free_.empty()) take_back([](const Event& e) { return e.valid() && e.is_signaled(); });
    if (free_.empty()) {
      synchronize_stream(s);
      take_back([this](const Event&) { return busy_.size() > most_unqueued; });
    }
    std::pop_heap(free_.begin(), free_.end(), std::greater<>());
    Report report{free_.back(), next_++};
    busy_.push_back({report.slot, done});
    free_.pop_back();
    owners_[report.slot] = report.number;
    return report;
  }

  Fault* at(uint32_t slot) { return all_ + slot; }

  /** The report that was opened last with a cause. */
  struct Shared {
    Event done;
    Strides cause;
    Fault* slot = nullptr;
    array::Doubts doubts;
  };
  Shared shared() {
    std::lock_guard lock(mutex_);
    return shared_;
  }
  void share(Shared report) {
    std::lock_guard lock(mutex_);
    std::swap(shared_, report);
  }

  std::exception_ptr verdict(const Report& report) {
    std::lock_guard lock(mutex_);
    if (owners_[report.slot] == report.number) take_along(report.slot);
    auto known = failures_.find(report.number);
    return known == failures_.end() ? nullptr : known->second;
  }

  void forget(const Report& report) {
    std::lock_guard lock(mutex_);
    failures_.erase(report.number);
  }

 private:
  struct Busy {
    uint32_t slot;
    Event done;
  };

  /** Frees slots in the order of their kernels, as long as `is_done` says so. */
  template <typename F>
  void take_back(const F& is_done) {
    while (!busy_.empty() && is_done(busy_.front().done)) {
      take_along(busy_.front().slot);
      free_.push_back(busy_.front().slot);
      std::push_heap(free_.begin(), free_.end(), std::greater<>());
      busy_.pop_front();
    }
  }

  void take_along(uint32_t slot) {
    std::atomic_ref<int32_t> raised(all_[slot].raised);
    if (raised.load(std::memory_order_acquire)) {
      failures_[owners_[slot]] = exception_of(all_[slot]);
      raised.store(0);
    }
  }

  std::mutex mutex_;
  PinnedMemory memory_ =
      make_pinned_memory(slots * sizeof(Fault), cudaHostAllocPortable | cudaHostAllocMapped);
  Fault* all_ = static_cast<Fault*>(memory_.get());
  std::vector<uint32_t> free_;                                   // the lowest in front, as a heap
  std::deque<Busy> busy_;                                        // in the order of their kernels
  std::vector<uint64_t> owners_ = std::vector<uint64_t>(slots);  // the last kernel that got a slot
  uint64_t next_ = 1;
  std::unordered_map<uint64_t, std::exception_ptr> failures_;
  Shared shared_;
};

class KernelDoubt final : public Doubt {
 public:
  KernelDoubt(FaultSlots& from, Report report) : from_(from), report_(report) {}
  ~KernelDoubt() override { from_.forget(report_); }
  std::exception_ptr verdict() override { return from_.verdict(report_); }

 private:
  FaultSlots& from_;
  Report report_;
};

FaultSlots& slots_of(const Stream& s) {
  static auto* mutex = new std::mutex;
  static auto* all = new std::map<Stream, std::unique_ptr<FaultSlots>>;
  use_device(s.device.index);
  std::lock_guard lock(*mutex);
  auto& found = (*all)[s];
  if (!found) {
    found = std::make_unique<FaultSlots>();
  }
  return *found;
}

}  // namespace

kernels::Fault* open_report(std::span<const array> results, const Stream& s) {
  FaultSlots& all = slots_of(s);
  Report report = all.open(results[0].event(), s);
  auto doubt = std::make_shared<KernelDoubt>(all, report);
  for (const array& result : results) {
    result.add_doubt(doubt);
  }
  return all.at(report.slot);
}

kernels::Fault* open_report(const array& result, const Strides& cause, const Stream& s) {
  FaultSlots& all = slots_of(s);
  const Event& done = result.event();
  auto last = all.shared();
  if (!done.valid() || last.done != done || last.cause != cause) {
    Report report = all.open(done, s);
    std::vector<std::shared_ptr<Doubt>> one{std::make_shared<KernelDoubt>(all, report)};
    one[0]->follow(done);
    last = {done, cause, all.at(report.slot),
            std::make_shared<const std::vector<std::shared_ptr<Doubt>>>(std::move(one))};
    all.share(last);
  }
  result.add_doubts(last.doubts);
  return last.slot;
}

}  // namespace mlx::core::cuda
