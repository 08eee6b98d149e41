// The best of a few rounds of each way, in turns, so that what else the device does meets both.
#include "mlx/backend/cuda/measured.h"

#include <algorithm>
#include <limits>

#include "mlx/backend/cuda/jit_cache.h"
#include "mlx/backend/cuda/runtime/device.h"
#include "mlx/backend/cuda/runtime/time_mark.h"
#include "mlx/utils.h"

namespace mlx::core::cuda {

namespace {

constexpr int rounds = 3, runs_of_round = 2;

double time_of(const Stream& s, const MeasuredChoice::Work& work) {
  auto begin = mark_begin(s);
  for (int i = 0; i < runs_of_round; i++) work();
  auto end = mark_end(s);
  return end->microseconds() - begin->microseconds();
}

bool measure(const Stream& s, const MeasuredChoice::Work& one, const MeasuredChoice::Work& other) {
  one();
  other();
  double best_one = std::numeric_limits<double>::infinity(), best_other = best_one;
  for (int i = 0; i < rounds; i++) {
    best_one = std::min(best_one, time_of(s, one));
    best_other = std::min(best_other, time_of(s, other));
  }
  return best_one < best_other;
}

}  // namespace

bool MeasuredChoice::is_faster(std::vector<int64_t> facts, const Stream& s, const Work& one,
                               const Work& other) {
  static const bool wanted = env::get_var("MLX_MEASURE_KERNELS", 1) != 0;
  if (!wanted) return false;
  facts.push_back(s.device.index);
  {
    std::lock_guard lock(mutex_);
    auto it = known_.find(facts);
    if (it != known_.end()) return it->second;
  }
  bool faster = find_or_measure(facts, s, one, other);
  std::lock_guard lock(mutex_);
  return known_.emplace(std::move(facts), faster).first->second;
}

bool MeasuredChoice::find_or_measure(const std::vector<int64_t>& facts, const Stream& s,
                                     const Work& one, const Work& other) const {
  const auto& device = device_facts(s.device.index);
  std::string text = name_ + " on " + device.name;
  for (int64_t fact : facts) text += " " + std::to_string(fact);
  std::string digest = text_digest(text);
  if (auto kept = read_cached(digest)) return *kept == "yes";
  bool faster = measure(s, one, other);
  write_cached(digest, faster ? "yes" : "no");
  return faster;
}

}  // namespace mlx::core::cuda
