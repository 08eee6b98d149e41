// The two sorts of failure. `check` is for what a caller got wrong: the message names the op and
// the offending shapes and dtypes. `internal_check` is for what we got wrong: it names file and
// line.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace mlx::core {

/** An axis out of range: both an index error and a value error for Python callers. */
class AxisError : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

/** Memory that could not be had, or a limit that would be passed. */
class OutOfMemory : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/** `[op] ` followed by all parts, streamed. */
template <typename... Parts>
std::string error_message(const char* op, const Parts&... parts) {
  std::ostringstream os;
  os << "[" << op << "] ";
  (os << ... << parts);
  return os.str();
}

template <typename... Parts>
[[noreturn]] void fail(const char* op, const Parts&... parts) {
  throw std::invalid_argument(error_message(op, parts...));
}

/** Throws std::invalid_argument `[op] parts…` unless the condition holds. */
template <typename... Parts>
inline void check(bool condition, const char* op, const Parts&... parts) {
  if (!condition) [[unlikely]] {
    fail(op, parts...);
  }
}

[[noreturn]] void internal_error(const char* file, int line, const std::string& message);

}  // namespace mlx::core

#define internal_check(condition, message)                      \
  do {                                                          \
    if (!(condition)) [[unlikely]] {                            \
      ::mlx::core::internal_error(__FILE__, __LINE__, message); \
    }                                                           \
  } while (0)
