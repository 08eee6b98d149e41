// A reference to a callable: two pointers, no allocation, no ownership. Used where a callback is
// only called before the function that receives it returns (loops over threads, rows, tiles).
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

namespace mlx::core {

template <typename Signature>
class FunctionRef;

template <typename R, typename... Args>
class FunctionRef<R(Args...)> {
 public:
  template <typename F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, FunctionRef> &&
           std::is_invocable_r_v<R, F&, Args...>)
      FunctionRef(F&& f) {  // NOLINT: implicit, so that a lambda can be passed directly
    if constexpr (std::is_function_v<std::remove_reference_t<F>>) {
      callee_.function = reinterpret_cast<void (*)()>(&f);
      call_ = [](Callee c, Args... args) -> R {
        return reinterpret_cast<std::remove_reference_t<F>*>(c.function)(
            std::forward<Args>(args)...);
      };
    } else {
      callee_.object = const_cast<void*>(static_cast<const void*>(std::addressof(f)));
      call_ = [](Callee c, Args... args) -> R {
        return (*static_cast<std::remove_reference_t<F>*>(c.object))(std::forward<Args>(args)...);
      };
    }
  }

  R operator()(Args... args) const { return call_(callee_, std::forward<Args>(args)...); }

 private:
  union Callee {
    void* object;
    void (*function)();
  };
  Callee callee_;
  R (*call_)(Callee, Args...);
};

}  // namespace mlx::core
