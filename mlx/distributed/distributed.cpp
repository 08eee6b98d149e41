// Groups by the name of their backend, and the group of one that a process is by itself.
#include "mlx/distributed/distributed.h"

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <stdexcept>

#include "mlx/core/errors.h"
#include "mlx/distributed/group.h"

namespace mlx::core::distributed {

namespace {

constexpr std::array<const char*, 4> backends = {"mpi", "nccl", "jaccl", "ring"};

/** One member, who has nobody to talk to. */
class Alone final : public detail::GroupImpl {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  std::shared_ptr<GroupImpl> split(int, int) override {
    throw std::runtime_error("[split] A group of one process cannot be split further.");
  }
  void all_reduce(detail::Reduction, const array&, array&) override { fail(); }
  void all_gather(const array&, array&) override { fail(); }
  void sum_scatter(const array&, array&) override { fail(); }
  void send(const array&, int) override { fail(); }
  void recv(array&, int) override { fail(); }

 private:
  [[noreturn]] static void fail() {
    internal_error(__FILE__, __LINE__, "a group of one process communicates");
  }
};

struct Groups {
  std::mutex mutex;
  std::map<std::string, Group> by_backend;
};

Groups& groups() {
  static auto* all = new Groups;  // outlives whatever ends with the process
  return *all;
}

void check_backend(const std::string& bk) {
  bool known = bk == "any" || std::find(backends.begin(), backends.end(), bk) != backends.end();
  check(known, "distributed", "Backends are 'any', 'mpi', 'nccl', 'jaccl' and 'ring', not '", bk,
        "'.");
}

}  // namespace

Stream detail::GroupImpl::stream_for(StreamOrDevice s) const {
  Stream stream = to_stream(s, Device::cpu);
  return stream.device == Device::cpu ? stream : default_stream(Device::cpu);
}

int Group::rank() const { return group_->rank(); }

int Group::size() const { return group_->size(); }

Group Group::split(int color, int key) const { return Group(group_->split(color, key)); }

bool is_available() { return is_available("any"); }

bool is_available(const std::string&) { return false; }

Group init(bool strict, const std::string& bk) { return init(strict, bk, nullptr); }

Group init(bool strict, const std::string& bk, AllGatherFactory) {
  check_backend(bk);
  if (strict) {
    throw std::runtime_error(error_message("distributed", "Backend '", bk, "' is not available."));
  }
  std::lock_guard lock(groups().mutex);
  auto found = groups().by_backend.find(bk);
  if (found == groups().by_backend.end()) {
    found = groups().by_backend.emplace(bk, Group(std::make_shared<Alone>())).first;
  }
  return found->second;
}

void clear_backends() {
  std::lock_guard lock(groups().mutex);
  groups().by_backend.clear();
}

}  // namespace mlx::core::distributed
