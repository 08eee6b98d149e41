// Free lists by size, one set for each thread. A list that grows hands chains of a fixed length to
// an exchange, where threads that have run out find them: what one thread makes often dies in
// another.
#include "mlx/core/object_pool.h"

#include <cstdint>
#include <mutex>
#include <utility>

#include "mlx/core/faults.h"  // builds with faults keep nothing
#include "mlx/core/prefetch.h"
#include "mlx/core/try_lock.h"

namespace mlx::core::object_pool {

namespace {

// Sanitizers see wrong uses only of memory that goes back to them, and memory that is kept never
// runs out.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(MLX_FAULTS)
constexpr bool keeps = false;
#else
constexpr bool keeps = true;
#endif
constexpr size_t granule = 32, largest = 1024, classes = largest / granule;
constexpr size_t chain_length = 64;
constexpr size_t most_exchanged = size_t{8} << 20;

struct Free {
  Free* next;
  Free* next_chain;  // of the first of a chain in the exchange
};

struct List {
  Free* head;
  uint32_t count;
  bool is_foreign;  // other threads had its objects
};

enum class State : uint8_t { unused, in_use, closed };  // closed while the thread is ending

/** A list that is taken from and given to, and a whole chain or nothing: who takes and gives by
 *  turns at the end of the one stays off the exchange. */
struct Lists {
  List current[classes];
  Free* spare[classes];
  State state;
};

constinit thread_local Lists lists{};

struct Exchange {
  TryLock lock;
  Free* chains[classes];
  size_t bytes;
};

constinit Exchange exchange{};

size_t class_of(size_t bytes) { return (bytes - 1) / granule; }

size_t chain_bytes(size_t size) { return chain_length * (size + 1) * granule; }

/** A chain of objects of one size, or nullptr. */
Free* take_chain(size_t size) {
  std::unique_lock lock(exchange.lock, std::try_to_lock);
  if (!lock || !exchange.chains[size]) {
    return nullptr;
  }
  exchange.bytes -= chain_bytes(size);
  Free* first = exchange.chains[size];
  exchange.chains[size] = first->next_chain;
  return first;
}

bool give_chain(Free* first, size_t size) {
  std::unique_lock lock(exchange.lock, std::try_to_lock);
  if (!lock || exchange.bytes + chain_bytes(size) > most_exchanged) {
    return false;
  }
  exchange.bytes += chain_bytes(size);
  first->next_chain = std::exchange(exchange.chains[size], first);
  return true;
}

void free_list(Free* first) {
  while (first) ::operator delete(std::exchange(first, first->next));
}

/** Gives everything back when the thread ends. */
struct Closer {
  ~Closer() {
    for (size_t size = 0; size < classes; size++) {
      free_list(std::exchange(lists.current[size], {}).head);
      free_list(std::exchange(lists.spare[size], nullptr));
    }
    lists.state = State::closed;
  }
};

/** The first thing that a thread keeps makes sure that it is given back. */
void keep_first() {
  thread_local Closer closer;
  lists.state = State::in_use;
}

/** Makes room in a list that is full. */
void put_aside(List& current, Free*& spare, size_t size) {
  if (spare && !give_chain(spare, size)) {
    free_list(spare);
  }
  spare = std::exchange(current, {}).head;
}

/** A whole chain for an empty list; false if there is none. */
bool refill(Lists& own, size_t size) {
  if (own.state == State::closed) return false;
  Free* chain = std::exchange(own.spare[size], nullptr);
  bool is_foreign = !chain;
  if (is_foreign) chain = take_chain(size);
  if (!chain) return false;
  if (own.state == State::unused) keep_first();
  own.current[size] = {chain, chain_length, is_foreign};
  return true;
}

}  // namespace

void* take(size_t bytes) {
  if (bytes == 0 || bytes > largest) {
    return ::operator new(bytes);
  }
  size_t size = class_of(bytes);
  Lists& own = lists;
  List& current = own.current[size];
  if (!current.head && !refill(own, size)) {
    return ::operator new((size + 1) * granule);
  }
  current.count--;
  void* taken = std::exchange(current.head, current.head->next);
  if (current.is_foreign) prefetch(current.head, (size + 1) * granule);
  return taken;
}

void give(void* memory, size_t bytes) noexcept {
  Lists& own = lists;
  if (!keeps || bytes == 0 || bytes > largest || own.state == State::closed) {
    ::operator delete(memory);
    return;
  }
  if (own.state == State::unused) keep_first();
  size_t size = class_of(bytes);
  List& current = own.current[size];
  if (current.count == chain_length) put_aside(current, own.spare[size], size);
  current.head = new (memory) Free{current.head, nullptr};
  current.count++;
}

}  // namespace mlx::core::object_pool
