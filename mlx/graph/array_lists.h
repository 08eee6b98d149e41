// Lists of arrays, as nodes and steps have them. They come and go by the hundred with every
// evaluation, so each thread keeps the memory of those that are given back.
#pragma once

#include <vector>

#include "mlx/array.h"

namespace mlx::core::detail {

/** An empty list with room for so many arrays. */
std::vector<array> take_list(size_t room);

/** Empties a list that is of no use any more. */
void give_list(std::vector<array>& list) noexcept;

}  // namespace mlx::core::detail
