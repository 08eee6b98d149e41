// Affinity from the scheduler, quotas from the control groups (versions 1 and 2): a group's limit
// holds for the groups below it, so all up to the root are asked.
#include "mlx/core/cores.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <thread>

#include <sched.h>

namespace mlx::core {

namespace {

constexpr double no_limit = std::numeric_limits<double>::infinity();

double ratio(double quota, double period) {
  return quota > 0 && period > 0 ? quota / period : no_limit;
}

double number_in(const std::string& file) {
  double value = 0;
  std::ifstream(file) >> value;
  return value;
}

// "max 100000" reads as no number.
double quota_v2(const std::string& folder) {
  double quota = 0, period = 0;
  std::ifstream(folder + "/cpu.max") >> quota >> period;
  return ratio(quota, period);
}

double quota_v1(const std::string& folder) {
  return ratio(number_in(folder + "/cpu.cfs_quota_us"), number_in(folder + "/cpu.cfs_period_us"));
}

// In a container the group's path may be one of the host, of which only the root is to be seen.
double smallest_up_to_root(const std::string& root, std::string path,
                           double (*quota)(const std::string&)) {
  double smallest = quota(root);
  while (path.size() > 1) {
    smallest = std::min(smallest, quota(root + path));
    path.resize(path.rfind('/'));
  }
  return smallest;
}

bool has_cpu_controller(const std::string& controllers) {
  std::istringstream names(controllers);
  for (std::string name; std::getline(names, name, ',');) {
    if (name == "cpu") return true;
  }
  return false;
}

double cpu_quota() {
  double smallest = no_limit;
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {  // number:controllers:path
    size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    std::string controllers = line.substr(first + 1, second - first - 1);
    std::string path = line.substr(second + 1);
    if (controllers.empty()) {
      smallest = std::min(smallest, smallest_up_to_root("/sys/fs/cgroup", path, quota_v2));
    } else if (has_cpu_controller(controllers)) {
      smallest =
          std::min(smallest, smallest_up_to_root("/sys/fs/cgroup/" + controllers, path, quota_v1));
    }
  }
  return smallest;
}

}  // namespace

int usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  int cores = sched_getaffinity(0, sizeof(set), &set) == 0
                  ? CPU_COUNT(&set)
                  : static_cast<int>(std::thread::hardware_concurrency());
  double quota = std::ceil(cpu_quota());
  return std::max(quota < cores ? static_cast<int>(quota) : cores, 1);
}

}  // namespace mlx::core
