// One stack of empty lists for each thread.
#include "mlx/graph/array_lists.h"

#include <utility>

namespace mlx::core::detail {

namespace {

constexpr size_t most_lists = 4096, most_room = 64;

std::vector<std::vector<array>>& spare_lists() {
  thread_local std::vector<std::vector<array>> spare;
  return spare;
}

}  // namespace

std::vector<array> take_list(size_t room) {
  auto& spare = spare_lists();
  spare.reserve(most_lists);  // so that giving back needs no memory
  std::vector<array> list;
  if (!spare.empty()) {
    list = std::move(spare.back());
    spare.pop_back();
  }
  list.reserve(room);
  return list;
}

void give_list(std::vector<array>& list) noexcept {
  list.clear();
  auto& spare = spare_lists();
  size_t room = list.capacity();
  if (room > 0 && room <= most_room && spare.size() < spare.capacity()) {
    spare.push_back(std::move(list));
  }
}

}  // namespace mlx::core::detail
