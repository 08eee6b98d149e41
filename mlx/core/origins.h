// Where in a user's program the nodes of graphs were made: for the profiler and for whoever looks
// for the line behind a value. Nothing is asked or kept unless somebody wants to know.
#pragma once

#include <string>

#include "mlx/array.h"

namespace mlx::core {

/** Says where the calling thread is in the user's program, as `file.py:12`; empty if unknown. */
using OriginSource = std::string (*)();

/** From now on `source` is asked at each new node; nullptr stops that and forgets what is known. */
void set_origin_source(OriginSource source);

/** Where the node of `a` was made; empty where that is not known. */
std::string origin_of(const array& a);

namespace detail {

/** To be called for every new node, by its `array::id()`. */
void note_origin(std::uintptr_t node);

}  // namespace detail

}  // namespace mlx::core
