// The walk keeps its own stack, since graphs may be deeper than the thread's.
#include "mlx/core/export_dot.h"

#include <unordered_set>

#include "mlx/core/graph_lock.h"
#include "mlx/primitives.h"

namespace mlx::core {

namespace {

/** A, …, Z, AA, AB, … */
std::string letters(size_t index) {
  std::string out;
  for (index++; index > 0; index = (index - 1) / 26) {
    out.insert(out.begin(), static_cast<char>('A' + (index - 1) % 26));
  }
  return out;
}

std::string quoted(const std::string& name) {
  std::string out = "\"";
  for (char c : name) {
    if (c == '"' || c == '\\') {
      out += '\\';
    }
    out += c;
  }
  return out + '"';
}

class DotWriter {
 public:
  DotWriter(std::ostream& os, const std::vector<array>& outputs, ArrayNames names)
      : os_(os), names_(std::move(names)) {
    for (const auto& a : outputs) {
      sinks_.insert(a.id());
    }
  }

  void write(const std::vector<array>& outputs) {
    os_ << "digraph {\n";
    for (const auto& a : outputs) {
      visit(a);
    }
    os_ << "}\n";
  }

 private:
  struct Step {
    array a;
    bool inputs_done;
  };

  void visit(const array& output) {
    std::vector<Step> stack{{output, false}};
    while (!stack.empty()) {
      auto [a, inputs_done] = stack.back();
      stack.pop_back();
      if (inputs_done) {
        write_primitive(a);
      } else if (!a.has_primitive()) {
        write_source(a);
      } else if (entered_.insert(a.primitive_id()).second) {
        stack.push_back({a, true});
        for (auto in = a.inputs().rbegin(); in != a.inputs().rend(); ++in) {
          stack.push_back({*in, false});
        }
      }
    }
  }

  void write_source(const array& a) {
    if (entered_.insert(a.id()).second) {
      os_ << "{ rank=source; " << name(a) << "; }\n";
    }
  }

  void write_primitive(const array& a) {
    os_ << "{ " << a.primitive_id() << " [label =" << quoted(a.primitive().name())
        << ", shape=rectangle]; }\n";
    for (const auto& in : a.inputs()) {
      os_ << name(in) << " -> " << a.primitive_id() << "\n";
    }
    for (const auto& out : a.outputs()) {
      os_ << "{ " << (sinks_.contains(out.id()) ? "rank=sink; " : "") << name(out) << "; }\n";
      os_ << a.primitive_id() << " -> " << name(out) << "\n";
    }
  }

  std::string name(const array& a) {
    auto [found, is_new] = names_.try_emplace(a.id());
    if (is_new) {
      found->second = letters(unnamed_++);
    }
    return quoted(found->second);
  }

  std::ostream& os_;
  ArrayNames names_;
  size_t unnamed_ = 0;
  std::unordered_set<std::uintptr_t> sinks_;
  std::unordered_set<std::uintptr_t> entered_;  // primitives, and arrays without one
};

}  // namespace

void export_to_dot(std::ostream& os, const std::vector<array>& outputs, ArrayNames names) {
  std::lock_guard lock(graph_lock());
  DotWriter(os, outputs, std::move(names)).write(outputs);
}

}  // namespace mlx::core
