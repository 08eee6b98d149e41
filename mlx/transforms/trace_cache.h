// What compiled functions keep: one value for each sort of call, found by a hash of all that the
// call's trace depends on. Each function keeps a bounded number, the most recently used ones.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

namespace mlx::core::detail {

/** Values are shared and outlive their place in the cache while a call uses them. Thread-safe. */
template <typename Value>
class TraceCache {
 public:
  using Key = std::vector<uint64_t>;
  using Pointer = std::shared_ptr<const Value>;

  /** `limit` is the most values per function. */
  explicit TraceCache(size_t limit) : limit_(limit) {}

  /** The value under the key, now the most recently used one; nullptr if there is none. */
  Pointer find(std::uintptr_t fun_id, const Key& key) {
    std::lock_guard lock(mutex_);
    auto function = functions_.find(fun_id);
    if (function == functions_.end()) {
      return nullptr;
    }
    auto& [recent, by_key] = function->second;
    auto it = by_key.find(View(key));
    if (it == by_key.end()) {
      return nullptr;
    }
    recent.splice(recent.begin(), recent, it->second);
    return it->second->value;
  }

  /** Keeps a value; one that another thread put there first is replaced. */
  void add(std::uintptr_t fun_id, Key key, Pointer value) {
    std::list<Entry> dropped;  // destroyed after the lock is released, as in all that follows
    std::lock_guard lock(mutex_);
    auto& [recent, by_key] = functions_[fun_id];
    auto drop = [&, &recent = recent, &by_key = by_key](auto it) {
      by_key.erase(View(it->key));
      dropped.splice(dropped.begin(), recent, it);
    };
    if (auto it = by_key.find(View(key)); it != by_key.end()) {
      drop(it->second);
    } else if (recent.size() == limit_) {
      drop(std::prev(recent.end()));
    }
    recent.push_front({std::move(key), std::move(value)});
    by_key.emplace(View(recent.front().key), recent.begin());
  }

  void erase(std::uintptr_t fun_id) {
    Function dropped;
    std::lock_guard lock(mutex_);
    if (auto it = functions_.find(fun_id); it != functions_.end()) {
      dropped = std::move(it->second);
      functions_.erase(it);
    }
  }

  void clear() {
    std::unordered_map<std::uintptr_t, Function> dropped;
    std::lock_guard lock(mutex_);
    dropped.swap(functions_);
  }

  /** Values of all functions together. */
  size_t size() {
    std::lock_guard lock(mutex_);
    size_t n = 0;
    for (auto& [id, function] : functions_) {
      n += function.recent.size();
    }
    return n;
  }

  /** Calls f with each value of one function, under the lock. */
  template <typename F>
  void for_each(std::uintptr_t fun_id, const F& f) {
    std::lock_guard lock(mutex_);
    if (auto it = functions_.find(fun_id); it != functions_.end()) {
      for (auto& entry : it->second.recent) {
        f(*entry.value);
      }
    }
  }

 private:
  struct Entry {
    Key key;
    Pointer value;
  };

  /** The words of a key where they lie: an entry's in the table, a caller's for a search. */
  struct View {
    const Key* key;
    size_t hash = 0;
    explicit View(const Key& words) : key(&words) {
      for (uint64_t word : words) {
        hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
        hash ^= hash >> 29;
      }
    }
    bool operator==(const View& other) const { return hash == other.hash && *key == *other.key; }
  };
  struct StoredHash {
    size_t operator()(const View& view) const { return view.hash; }
  };

  struct Function {
    std::list<Entry> recent;  // the most recently used first
    std::unordered_map<View, typename std::list<Entry>::iterator, StoredHash> by_key;
  };

  std::mutex mutex_;
  const size_t limit_;
  std::unordered_map<std::uintptr_t, Function> functions_;
};

}  // namespace mlx::core::detail
