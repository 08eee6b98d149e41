// A stack of empty lists for each thread, and one for all: the thread that runs a step gives back
// what the one that planned it took.
#include "mlx/graph/array_lists.h"

#include <algorithm>
#include <iterator>
#include <mutex>
#include <new>
#include <utility>

#include "mlx/core/try_lock.h"

namespace mlx::core::detail {

namespace {

using Lists = std::vector<std::vector<array>>;

constexpr size_t most_lists = 512, most_shared = 4096, most_room = 64;
constexpr size_t lists_at_a_time = most_lists / 2;

Lists& spare_lists() {
  thread_local Lists spare;
  return spare;
}

/** What some threads have too much of and others have run out of. */
struct Shared {
  TryLock lock;
  Lists lists;
};

Shared& shared() {
  static auto* lists = new Shared;
  return *lists;
}

void move_last(Lists& from, Lists& to, size_t count) {
  count = std::min(count, from.size());
  auto begin = from.end() - static_cast<std::ptrdiff_t>(count);
  to.insert(to.end(), std::make_move_iterator(begin), std::make_move_iterator(from.end()));
  from.erase(begin, from.end());
}

void take_shared(Lists& spare) {
  std::unique_lock lock(shared().lock, std::try_to_lock);
  if (!lock) return;
  shared().lists.reserve(most_shared);  // so that giving back needs no memory
  move_last(shared().lists, spare, lists_at_a_time);
}

void share_some(Lists& spare) {
  std::unique_lock lock(shared().lock, std::try_to_lock);
  if (lock && shared().lists.capacity() - shared().lists.size() >= lists_at_a_time) {
    move_last(spare, shared().lists, lists_at_a_time);
  }
}

}  // namespace

std::vector<array> take_list(size_t room) {
  auto& spare = spare_lists();
  spare.reserve(most_lists);
  if (spare.empty()) take_shared(spare);
  std::vector<array> list;
  if (!spare.empty()) {
    list = std::move(spare.back());
    spare.pop_back();
    if (!spare.empty()) __builtin_prefetch(spare.back().data(), 1);
  }
  list.reserve(room);
  return list;
}

void give_list(std::vector<array>& list) noexcept try {
  list.clear();
  size_t room = list.capacity();
  if (room == 0 || room > most_room) return;
  auto& spare = spare_lists();
  spare.reserve(most_lists);
  if (spare.size() >= most_lists) share_some(spare);
  if (spare.size() < most_lists) spare.push_back(std::move(list));
} catch (const std::bad_alloc&) {
  // Then it is not kept.
}

}  // namespace mlx::core::detail
