// Common subexpressions are found in one pass over the tape: two nodes are the same if their
// primitives are equivalent and their inputs, already redirected, are the same arrays.
#include "mlx/graph/passes/simplify.h"

#include <string_view>
#include <typeinfo>
#include <unordered_map>

#include "mlx/primitives.h"
#include "mlx/primitives/transforms.h"

namespace mlx::core::detail {

namespace {

size_t combine(size_t seed, size_t value) {
  return seed ^ (value + 0x9e3779b97f4a7c15ULL + (seed << 6) + (seed >> 2));
}

size_t hash_of(const array& node) {
  size_t h = std::hash<std::string_view>{}(node.primitive().name());
  for (auto& in : node.inputs()) {
    h = combine(h, in.id());
  }
  return combine(h, static_cast<size_t>(node.dtype().val()));
}

bool same_inputs(const array& a, const array& b) {
  if (a.inputs().size() != b.inputs().size()) {
    return false;
  }
  for (size_t i = 0; i < a.inputs().size(); i++) {
    if (a.inputs()[i].id() != b.inputs()[i].id()) {
      return false;
    }
  }
  return true;
}

bool equivalent(const array& a, const array& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() && same_inputs(a, b) &&
         a.siblings().size() == b.siblings().size() &&
         a.primitive().stream() == b.primitive().stream() &&
         std::string_view(a.primitive().name()) == b.primitive().name() &&
         a.primitive().is_equivalent(b.primitive());
}

// Scalars made while tracing, such as the 2.0 in `x * 2.0`, are equal by value.
class Scalars {
 public:
  array canonical(const array& a) {
    if (a.has_primitive() || a.ndim() != 0 || !a.is_available() || a.is_tracer() ||
        !a.data_shared_ptr()) {
      return a;
    }
    std::string_view bytes = bytes_of(a);
    size_t key =
        combine(std::hash<std::string_view>()(bytes), static_cast<size_t>(a.dtype().val()));
    for (auto [it, end] = known_.equal_range(key); it != end; ++it) {
      if (it->second.dtype() == a.dtype() && bytes_of(it->second) == bytes) {
        return it->second;
      }
    }
    known_.emplace(key, a);
    return a;
  }

 private:
  static std::string_view bytes_of(const array& scalar) {
    return {scalar.data<char>(), scalar.itemsize()};
  }

  std::unordered_multimap<size_t, array> known_;
};

void drop_unneeded(Tape& tape, const std::vector<array>& outputs) {
  std::unordered_set<std::uintptr_t> needed;
  for (auto& out : outputs) {
    needed.insert(out.id());
  }
  std::vector<array> kept;
  for (size_t i = tape.nodes.size(); i-- > 0;) {
    auto& node = tape.nodes[i];
    bool used = false;
    for (auto& out : node.outputs()) {
      used |= needed.count(out.id()) > 0;
    }
    if (used) {
      for (auto& in : node.inputs()) {
        needed.insert(in.id());
      }
      kept.push_back(node);
    }
  }
  tape.nodes.assign(kept.rbegin(), kept.rend());
}

}  // namespace

void simplify(Tape& tape, std::vector<array>& outputs) {
  Substitution first;
  Scalars scalars;
  std::unordered_multimap<size_t, array> known;
  for (auto& node : tape.nodes) {
    for (auto& out : node.outputs()) {
      for (auto& in : out.inputs()) {
        in = scalars.canonical(substituted(first, in));
      }
    }
    if (typeid(node.primitive()) == typeid(Identity)) {
      first.insert_or_assign(node.id(), node.inputs()[0]);
      continue;
    }
    size_t h = hash_of(node);
    bool merged = false;
    for (auto [it, end] = known.equal_range(h); it != end && !merged; ++it) {
      if (equivalent(it->second, node)) {
        auto kept = it->second.outputs();
        auto gone = node.outputs();
        for (size_t k = 0; k < gone.size(); k++) {
          first.insert_or_assign(gone[k].id(), kept[k]);
        }
        merged = true;
      }
    }
    if (!merged) {
      known.emplace(h, node);
    }
  }
  for (auto& out : outputs) {
    out = substituted(first, out);
  }
  drop_unneeded(tape, outputs);
}

}  // namespace mlx::core::detail
