// Which calls fail: the environment variable MLX_FAULTS says it, or a test by the functions below,
// which have C names so that Python can call them without bindings.
//
//   write:3        the third call
//   write:3-       the third and all that follow, as when a disk is full
//   write:0.01@7   each with a probability, chosen by a seed
//
// Several are joined by commas.
#include "mlx/core/faults.h"

#ifdef MLX_FAULTS

#include <elf.h>
#include <link.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <new>
#include <string_view>

#include "mlx/core/errors.h"

namespace mlx::core::faults {

namespace {

struct Row {
  std::string_view name;
  int error;
};

constexpr Row rows[] = {
#define MLX_FAULT(point, error) {#point, error},
#include "mlx/core/faults.def"
};
constexpr size_t count = std::size(rows);

/** What is asked of one point, and what has happened there. */
struct State {
  std::atomic<uint64_t> first{0}, last{0};  // calls, from 1 on
  std::atomic<double> probability{0};
  std::atomic<uint64_t> seed{0};
  std::atomic<uint64_t> calls{0}, struck{0};
};

constinit std::array<State, count> states;

/** SplitMix64's mixing of a number that counts up. */
double uniform(uint64_t seed, uint64_t call) {
  uint64_t z = seed + call * 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

/** Reads a number off the front of the text. */
template <typename T>
bool take(std::string_view& text, T& value) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return error == std::errc();
}

bool take(std::string_view& text, char c) {
  bool found = text.starts_with(c);
  text.remove_prefix(found ? 1 : 0);
  return found;
}

size_t index_of(std::string_view name) {
  size_t i = 0;
  while (i < count && rows[i].name != name) {
    i++;
  }
  return i;
}

bool set_one(std::string_view rule) {
  size_t colon = rule.find(':');
  size_t i = index_of(rule.substr(0, colon));
  if (colon == std::string_view::npos || i == count) {
    return false;
  }
  std::string_view rest = rule.substr(colon + 1);
  State& state = states[i];
  if (rest.find('@') != std::string_view::npos) {
    double probability = 0;
    uint64_t seed = 0;
    bool good = take(rest, probability) && take(rest, '@') && take(rest, seed) && rest.empty();
    state.seed = seed;
    state.probability = probability;
    return good;
  }
  uint64_t first = 0;
  bool good = take(rest, first) && first > 0;
  state.last = take(rest, '-') ? UINT64_MAX : first;
  state.first = first;
  return good && rest.empty();
}

void clear() {
  for (auto& state : states) {
    state.first = state.last = state.seed = state.calls = state.struck = 0;
    state.probability = 0;
  }
}

bool set(std::string_view rules) {
  clear();
  while (!rules.empty()) {
    size_t comma = std::min(rules.find(','), rules.size());
    if (!set_one(rules.substr(0, comma))) {
      return false;
    }
    rules.remove_prefix(std::min(comma + 1, rules.size()));
  }
  return true;
}

void read_environment() {
  const char* rules = std::getenv("MLX_FAULTS");
  check(!rules || set(rules), "faults", "MLX_FAULTS is not understood: ", rules);
}

}  // namespace

/** Whether a rule concerns the point. */
bool is_set(Point point) {
  const State& state = states[static_cast<size_t>(point)];
  return state.first > 0 || state.probability > 0;
}

bool strikes(Point point) {
  static const bool ready = (read_environment(), true);
  static_cast<void>(ready);
  auto i = static_cast<size_t>(point);
  State& state = states[i];
  uint64_t call = ++state.calls;
  double probability = state.probability;
  bool chosen = call >= state.first && call <= state.last;
  if (!chosen && (probability <= 0 || uniform(state.seed, call) >= probability)) {
    return false;
  }
  state.struck++;
  errno = rows[i].error;
  return true;
}

}  // namespace mlx::core::faults

extern "C" {

/** Replaces all rules and forgets what was counted; false if the rules are not understood. */
bool mlx_faults_set(const char* rules) { return mlx::core::faults::set(rules); }

/** How often the point was reached since the rules were set. */
uint64_t mlx_faults_calls(const char* point) {
  return mlx::core::faults::states.at(mlx::core::faults::index_of(point)).calls;
}

/** How often it failed. */
uint64_t mlx_faults_struck(const char* point) {
  return mlx::core::faults::states.at(mlx::core::faults::index_of(point)).struck;
}

}  // extern "C"

namespace {

/** The code of this library. Others, such as the bindings' own, cannot do without their memory. */
struct Code {
  uintptr_t begin = 0, end = 0;

  Code() {
    dl_iterate_phdr([](dl_phdr_info* info, size_t,
                       void* code) { return static_cast<Code*>(code)->take(*info) ? 1 : 0; },
                    this);
  }

  bool take(const dl_phdr_info& info) {
    auto here = reinterpret_cast<uintptr_t>(&mlx_faults_set);
    for (int i = 0; i < info.dlpi_phnum; i++) {
      begin = info.dlpi_addr + info.dlpi_phdr[i].p_vaddr;
      end = begin + info.dlpi_phdr[i].p_memsz;
      if (here >= begin && here < end && info.dlpi_phdr[i].p_type == PT_LOAD) {
        return true;
      }
    }
    return false;
  }
};

}  // namespace

/** The one place where C++ code takes memory of any size. */
void* operator new(size_t bytes) {
  using namespace mlx::core::faults;
  static const Code code;
  auto caller = reinterpret_cast<uintptr_t>(__builtin_return_address(0));
  bool ours = caller >= code.begin && caller < code.end && is_set(Point::heap);
  void* memory = ours && strikes(Point::heap) ? nullptr : std::malloc(bytes | 1);
  if (!memory) {
    throw std::bad_alloc();
  }
  return memory;
}

void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

#endif
