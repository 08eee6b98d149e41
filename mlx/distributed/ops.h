// Communication as operations of the graph: it happens when the result is evaluated. Without a
// group the one of `init()` is meant. All members have to call the same operations in the same
// order, with inputs of the same shape and dtype.
#pragma once

#include <optional>

#include "mlx/distributed/distributed.h"
#include "mlx/utils.h"

namespace mlx::core::distributed {

/** The sum, maximum or minimum of the members' arrays by element. The cotangent of a sum is every
 *  member's own; that of an extreme goes to where it came from. */
array all_sum(const array& x, std::optional<Group> group = std::nullopt, StreamOrDevice s = {});
array all_max(const array& x, std::optional<Group> group = std::nullopt, StreamOrDevice s = {});
array all_min(const array& x, std::optional<Group> group = std::nullopt, StreamOrDevice s = {});

/** The members' arrays one after the other along the first axis; scalars become a vector. */
array all_gather(const array& x, std::optional<Group> group = std::nullopt, StreamOrDevice S = {});

/** The rows of all_sum(x) that belong to this member. Throws std::invalid_argument unless the size
 *  of the group divides the first axis. */
array sum_scatter(const array& x, std::optional<Group> group = std::nullopt, StreamOrDevice s = {});

/** x, which is sent to member `dst` when the result is evaluated. Throws std::invalid_argument
 *  unless that is another member, as for `src` below. */
array send(const array& x, int dst, std::optional<Group> group = std::nullopt,
           StreamOrDevice s = {});

/** What member `src` sends. */
array recv(Shape shape, Dtype dtype, int src, std::optional<Group> group = std::nullopt,
           StreamOrDevice s = {});
array recv_like(const array& x, int src, std::optional<Group> group = std::nullopt,
                StreamOrDevice s = {});

}  // namespace mlx::core::distributed
