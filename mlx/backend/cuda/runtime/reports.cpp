// A ring of slots in pinned memory for each stream. A slot serves a new kernel only after the
// kernel before it is done, and what that one reported has been taken along by then.
#include "mlx/backend/cuda/runtime/reports.h"

#include <atomic>
#include <cstring>
#include <map>
#include <mutex>
#include <stdexcept>
#include <unordered_map>

#include "mlx/backend/common/linalg.h"
#include "mlx/backend/cuda/runtime/owned.h"
#include "mlx/backend/cuda/runtime/streams.h"
#include "mlx/core/errors.h"

namespace mlx::core::cuda {

namespace {

using kernels::Fault;

constexpr uint64_t part_slots = 1024, parts = 4, slots = part_slots * parts;

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

class FaultRing {
 public:
  FaultRing() {
    for (auto& event : part_done_) {
      event = make_owned_event(cudaEventDisableTiming);
    }
    std::memset(memory_.get(), 0, slots * sizeof(Fault));
  }

  /** The number of the next kernel, whose slot is free and empty. */
  uint64_t open(const Stream& s) {
    std::lock_guard lock(mutex_);
    if (next_ % part_slots == 0) {
      enter_part(s);
    }
    take_along(next_ % slots);
    return next_++;
  }

  Fault* slot(uint64_t number) { return ring_ + number % slots; }

  std::exception_ptr verdict(uint64_t number) {
    std::lock_guard lock(mutex_);
    if (number + slots >= next_) {
      take_along(number % slots);
    }
    auto known = failures_.find(number);
    return known == failures_.end() ? nullptr : known->second;
  }

  void forget(uint64_t number) {
    std::lock_guard lock(mutex_);
    failures_.erase(number);
  }

 private:
  void enter_part(const Stream& s) {
    uint64_t part = next_ / part_slots;
    if (part > 0) {
      record_event(part_done_[(part - 1) % parts].get(), s);
    }
    if (part >= parts) {
      wait_event(part_done_[part % parts].get());
    }
  }

  void take_along(uint64_t slot) {
    std::atomic_ref<int32_t> raised(ring_[slot].raised);
    if (raised.load(std::memory_order_acquire)) {
      failures_[owner_of(slot)] = exception_of(ring_[slot]);
      raised.store(0);
    }
  }

  /** The last kernel that got the slot. */
  uint64_t owner_of(uint64_t slot) const {
    uint64_t back = (next_ - 1 - slot) % slots;
    return next_ - 1 - back;
  }

  std::mutex mutex_;
  PinnedMemory memory_ =
      make_pinned_memory(slots * sizeof(Fault), cudaHostAllocPortable | cudaHostAllocMapped);
  Fault* ring_ = static_cast<Fault*>(memory_.get());
  OwnedEvent part_done_[parts];
  uint64_t next_ = 0;
  std::unordered_map<uint64_t, std::exception_ptr> failures_;
};

class KernelDoubt final : public Doubt {
 public:
  KernelDoubt(FaultRing& ring, uint64_t number) : ring_(ring), number_(number) {}
  ~KernelDoubt() override { ring_.forget(number_); }
  std::exception_ptr verdict() override { return ring_.verdict(number_); }

 private:
  FaultRing& ring_;
  uint64_t number_;
};

FaultRing& ring_of(const Stream& s) {
  static auto* mutex = new std::mutex;
  static auto* rings = new std::map<Stream, std::unique_ptr<FaultRing>>;
  use_device(s.device.index);
  std::lock_guard lock(*mutex);
  auto& ring = (*rings)[s];
  if (!ring) {
    ring = std::make_unique<FaultRing>();
  }
  return *ring;
}

}  // namespace

FaultReport open_report(const Stream& s) {
  FaultRing& ring = ring_of(s);
  uint64_t number = ring.open(s);
  return {ring.slot(number), std::make_shared<KernelDoubt>(ring, number)};
}

}  // namespace mlx::core::cuda
