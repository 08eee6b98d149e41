// Control flow that stays in the graph: which branch runs, and how often a body does, is decided
// when the graph is evaluated. Functions are traced once, before they run; arrays that they read
// beside their arguments become inputs of the node. Random numbers without a key are drawn when a
// function is traced, and so are the same in every turn of a loop.
#pragma once

#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "mlx/array.h"
#include "mlx/utils.h"

namespace mlx::core {

using ControlFunction = std::function<std::vector<array>(const std::vector<array>&)>;

/**
 * `true_fn(operands)` where the one element of `pred` is not 0, else `false_fn(operands)`, which
 * have to give arrays of the same shapes and dtypes; only one of them runs. All derivatives; mapped
 * over `pred`, both run and each element is chosen.
 */
std::vector<array> cond(const array& pred, const ControlFunction& true_fn,
                        const ControlFunction& false_fn, const std::vector<array>& operands,
                        StreamOrDevice s = {});

/**
 * `init` after `body` has been applied to it for as long as `condition`, a function to one element,
 * gives something else than 0. The body keeps shapes and dtypes. Forward derivatives only, since
 * the number of turns is not known before. Mapped, the loop runs until all elements are done.
 */
std::vector<array> while_loop(const std::function<array(const std::vector<array>&)>& condition,
                              const ControlFunction& body, const std::vector<array>& init,
                              StreamOrDevice s = {});

/** One turn of a scan: the next carry, and what is collected. */
using ScanFunction = std::function<std::pair<std::vector<array>, std::vector<array>>(
    const std::vector<array>& carry, const std::vector<array>& x)>;

/**
 * The last carry, and what each turn gave, stacked along a first axis. Turn i gets element i of the
 * first axis of each of `xs`; with `reverse` the turns go from the last element to the first. The
 * function keeps the carry's shapes and dtypes. `length` says how many turns there are where `xs`
 * is empty. All derivatives; backward, a carry is kept for each turn.
 */
std::pair<std::vector<array>, std::vector<array>> scan(const ScanFunction& fn,
                                                       const std::vector<array>& init,
                                                       const std::vector<array>& xs,
                                                       std::optional<int> length = std::nullopt,
                                                       bool reverse = false, StreamOrDevice s = {});

}  // namespace mlx::core
