// Groups of processes that compute together. A process that was started alone is a group of one.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace mlx::core::distributed {

namespace detail {
class GroupImpl;
}

/** Gathers `n` bytes of every member: f(source, target of size * n bytes, n). */
using AllGatherFn = std::function<void(const char*, char*, size_t)>;
/** Makes such a function for a rank and a size, for backends that need one to find each other. */
using AllGatherFactory = std::function<AllGatherFn(int, int)>;

/** Whether the backend `bk`, or any with "any", can connect processes. */
bool is_available();
bool is_available(const std::string& bk);

/** The members that communicate, seen by one of them. */
struct Group {
  explicit Group(std::shared_ptr<detail::GroupImpl> group) : group_(std::move(group)) {}

  /** This process's number in the group, from 0, and the number of members. */
  int rank() const;
  int size() const;

  /** The members that pass the same color, ordered by key, or by rank where it is negative. Throws
   *  std::runtime_error for a group that cannot be split, as one of a single member. */
  Group split(int color, int key = -1) const;

  const std::shared_ptr<detail::GroupImpl>& raw_group() const { return group_; }

 private:
  std::shared_ptr<detail::GroupImpl> group_;
};

/**
 * The group of all processes, connected by the backend `bk` on the first call: "mpi", "nccl",
 * "jaccl", "ring", or "any" for the first one that succeeds. Where none does it is this process
 * alone, or a std::runtime_error if `strict`. Throws std::invalid_argument for other names.
 */
Group init(bool strict = false, const std::string& bk = "any");
Group init(bool strict, const std::string& bk, AllGatherFactory factory);

/** Forgets the groups that `init` made; the next call connects anew. */
void clear_backends();

}  // namespace mlx::core::distributed
