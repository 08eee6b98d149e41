// Walks over graphs for people. They keep a stack of their own, since graphs may be deeper than the
// thread's.
#include "mlx/graph_utils.h"

#include <functional>
#include <unordered_set>

#include "mlx/core/function_ref.h"
#include "mlx/core/graph_lock.h"
#include "mlx/graph/deferred.h"
#include "mlx/primitives/described.h"
#include "mlx/utils.h"

namespace mlx::core {

namespace {

using detail::build_graph_of;

/** Calls `source` with each array without a primitive, and `made` with an output of each primitive
 *  after all that it needs. */
void walk(const std::vector<array>& outputs, FunctionRef<void(const array&)> source,
          FunctionRef<void(const array&)> made) {
  struct Step {
    array a;
    bool inputs_done;
  };
  std::unordered_set<std::uintptr_t> entered;  // primitives, and arrays without one
  std::vector<Step> stack;
  for (auto out = outputs.rbegin(); out != outputs.rend(); ++out) stack.push_back({*out, false});
  while (!stack.empty()) {
    auto [a, inputs_done] = stack.back();
    stack.pop_back();
    build_graph_of(a);
    if (inputs_done) {
      made(a);
    } else if (!a.has_primitive()) {
      if (entered.insert(a.id()).second) source(a);
    } else if (entered.insert(a.primitive_id()).second) {
      stack.push_back({a, true});
      for (auto in = a.inputs().rbegin(); in != a.inputs().rend(); ++in) {
        stack.push_back({*in, false});
      }
    }
  }
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
  DotWriter(std::ostream& os, const std::vector<array>& outputs, NodeNamer namer)
      : os_(os), namer_(std::move(namer)) {
    for (const auto& a : outputs) {
      sinks_.insert(a.id());
    }
  }

  void write(const std::vector<array>& outputs) {
    os_ << "digraph {\n";
    walk(
        outputs, [&](const array& a) { os_ << "{ rank=source; " << name(a) << "; }\n"; },
        [&](const array& a) { write_primitive(a); });
    os_ << "}\n";
  }

 private:
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

  std::string name(const array& a) { return quoted(namer_.get_name(a)); }

  std::ostream& os_;
  NodeNamer namer_;
  std::unordered_set<std::uintptr_t> sinks_;
};

/** `A, B`, each followed by what `more` writes of it. */
void write_names(std::ostream& os, NodeNamer& namer, const std::vector<array>& arrays,
                 bool with_types) {
  for (size_t i = 0; i < arrays.size(); i++) {
    const array& a = arrays[i];
    os << (i ? ", " : "") << namer.get_name(a);
    if (with_types) os << " " << a.dtype() << a.shape();
  }
}

}  // namespace

std::string detail::letters(size_t index) {
  std::string out;
  for (index++; index > 0; index = (index - 1) / 26) {
    out.insert(out.begin(), static_cast<char>('A' + (index - 1) % 26));
  }
  return out;
}

const std::string& NodeNamer::get_name(const array& a) {
  auto [found, is_new] = names_.try_emplace(a.id());
  if (is_new) found->second = detail::letters(unnamed_++);
  return found->second;
}

void NodeNamer::set_name(const array& a, std::string name) { names_[a.id()] = std::move(name); }

void print_graph(std::ostream& os, NodeNamer namer, const std::vector<array>& outputs) {
  std::lock_guard lock(graph_lock());
  std::vector<array> sources, nodes;
  walk(
      outputs, [&](const array& a) { sources.push_back(a); },
      [&](const array& a) { nodes.push_back(a); });
  os << "Inputs: ";
  write_names(os, namer, sources, true);
  os << "\nOutputs: ";
  write_names(os, namer, outputs, true);
  os << "\nPrimitives:\n";
  for (auto& node : nodes) {
    os << "  ";
    write_names(os, namer, node.outputs(), true);
    os << " = " << node.primitive() << "(";
    write_names(os, namer, node.inputs(), false);
    os << ")\n";
  }
}

void export_to_dot(std::ostream& os, NodeNamer namer, const std::vector<array>& outputs) {
  std::lock_guard lock(graph_lock());
  DotWriter(os, outputs, std::move(namer)).write(outputs);
}

}  // namespace mlx::core
