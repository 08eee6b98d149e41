// Matching by number, names, dtypes and extents.
#include "mlx/export/match.h"

#include <algorithm>
#include <sstream>
#include <unordered_map>

#include "mlx/utils.h"

namespace mlx::core {

namespace {

/** Compares extents; those that vary must be equal where the trace says so. */
class Extents {
 public:
  bool fit(const StoredArgument& wanted, const Shape& shape) {
    if (shape.size() != wanted.shape.size()) return false;
    for (size_t i = 0; i < shape.size(); i++) {
      uint32_t number = wanted.extents.empty() ? 0 : wanted.extents[i];
      ShapeElem n = number ? known_.try_emplace(number, shape[i]).first->second : wanted.shape[i];
      if (shape[i] != n) return false;
      differs_ |= shape[i] != wanted.shape[i];
    }
    return true;
  }
  bool differs() const { return differs_; }

 private:
  std::unordered_map<uint32_t, ShapeElem> known_;
  bool differs_ = false;
};

size_t positional(const NamedArrays& arguments) {
  return std::ranges::count_if(arguments, [](auto& a) { return a.first.empty(); });
}

void write_header(std::ostream& os, size_t positional, size_t all) {
  os << " with " << positional << " positional inputs and " << all - positional
     << " keyword inputs:\n";
}

void write_name(std::ostream& os, const std::string& name, size_t number) {
  name.empty() ? os << number << ": " : os << '"' << name << "\": ";
}

/** The shape with `?` for extents that may vary. */
void write_shape(std::ostream& os, const StoredArgument& a) {
  os << "(";
  for (size_t i = 0; i < a.shape.size(); i++) {
    os << (i ? "," : "");
    a.extents.empty() || a.extents[i] == 0 ? os << a.shape[i] : os << "?";
  }
  os << ") " << a.dtype << "\n";
}

}  // namespace

Match match(const StoredTrace& trace, const NamedArrays& arguments) {
  Match found;
  if (trace.callers_arguments() != arguments.size()) return found;
  Extents extents;
  size_t next = 0;
  for (size_t i = 0; i < arguments.size(); i++) {
    const StoredArgument& wanted = trace.arguments[i];
    auto given = wanted.name.empty()
                     ? arguments.begin() + static_cast<std::ptrdiff_t>(next++)
                     : std::ranges::find(arguments, wanted.name, &NamedArrays::value_type::first);
    if (given == arguments.end() || given->first != wanted.name ||
        given->second.dtype() != wanted.dtype || !extents.fit(wanted, given->second.shape())) {
      found.inputs.clear();
      return found;
    }
    found.inputs.push_back(given->second);
  }
  found.serves = true;
  found.shapeless = extents.differs();
  return found;
}

std::string no_match_message(const std::vector<StoredTrace>& traces, const NamedArrays& arguments) {
  std::ostringstream os;
  os << "No imported function found which matches the given positional and keyword arguments. "
        "Possible functions include:\n";
  for (size_t t = 0; t < traces.size(); t++) {
    size_t n = traces[t].callers_arguments();
    auto end = traces[t].arguments.begin() + static_cast<std::ptrdiff_t>(n);
    auto named =
        std::find_if(traces[t].arguments.begin(), end, [](auto& a) { return !a.name.empty(); });
    os << " " << t + 1 << ". Function";
    write_header(os, named - traces[t].arguments.begin(), n);
    for (size_t i = 0; i < n; i++) {
      os << "   ";
      write_name(os, traces[t].arguments[i].name, i + 1);
      write_shape(os, traces[t].arguments[i]);
    }
  }
  os << "\nCalled";
  write_header(os, positional(arguments), arguments.size());
  for (size_t i = 0; i < arguments.size(); i++) {
    os << "  ";
    write_name(os, arguments[i].first, i + 1);
    write_shape(os, {"", arguments[i].second.shape(), arguments[i].second.dtype(), {}});
  }
  return os.str();
}

}  // namespace mlx::core
