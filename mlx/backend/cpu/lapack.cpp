// Opening OpenBLAS and finding its routines. It would start a thread for each core at once; since
// it asks on how many cores its opener may run, it is told of one while it opens.
#include "mlx/backend/cpu/lapack.h"

#include <dlfcn.h>
#include <sched.h>

#include <filesystem>
#include <string>

#include "mlx/core/errors.h"
#include "mlx/core/faults.h"

namespace mlx::core::cpu {

namespace {

/** Ties the calling thread to one of its cores. */
class OneCore {
 public:
  OneCore() : known_(sched_getaffinity(0, sizeof(before_), &before_) == 0) {
    int core = 0;
    while (known_ && core < CPU_SETSIZE - 1 && !CPU_ISSET(core, &before_)) {
      core++;
    }
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    known_ = known_ && sched_setaffinity(0, sizeof(one), &one) == 0;
  }
  ~OneCore() {
    if (known_) {
      sched_setaffinity(0, sizeof(before_), &before_);
    }
  }
  OneCore(const OneCore&) = delete;
  OneCore& operator=(const OneCore&) = delete;

 private:
  cpu_set_t before_;
  bool known_;
};

void* open_library() {
  Dl_info info{};
  dladdr(reinterpret_cast<const void*>(&open_library), &info);
  auto path = std::filesystem::path(info.dli_fname ? info.dli_fname : "").parent_path() /
              "libscipy_openblas.so";
  OneCore one_core;
  bool fault = faults::strikes(faults::Point::library);
  void* library = fault ? nullptr : dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char* reason = fault ? "a fault was asked for" : dlerror();
    throw std::runtime_error(error_message("linalg", "Decompositions and solvers on the CPU need ",
                                           "OpenBLAS, which cannot be opened: ", reason));
  }
  auto set_threads =
      reinterpret_cast<void (*)(int)>(dlsym(library, "scipy_openblas_set_num_threads"));
  internal_check(set_threads != nullptr, "OpenBLAS lacks a way to set its threads");
  set_threads(1);
  return library;
}

void* library() {
  static void* opened = open_library();
  return opened;
}

template <typename T>
constexpr char letter() {
  bool single = std::is_same_v<typename Lapack<T>::Real, float>;
  return Lapack<T>::complex ? (single ? 'c' : 'z') : single ? 's' : 'd';
}

template <typename T, typename Routine>
void find(Routine& routine, const std::string& name) {
  std::string symbol = std::string("scipy_") + letter<T>() + name + "_";
  routine = reinterpret_cast<Routine>(dlsym(library(), symbol.c_str()));
  internal_check(routine != nullptr, "OpenBLAS lacks " + symbol);
}

template <typename T>
Lapack<T> open() {
  Lapack<T> routines;
  find<T>(routines.gemm, "gemm");
  find<T>(routines.trsm, "trsm");
  find<T>(routines.potrf, "potrf");
  find<T>(routines.getrf, "getrf");
  find<T>(routines.laswp, "laswp");
  find<T>(routines.geqrt3, "geqrt3");
  find<T>(routines.larfb, "larfb");
  constexpr bool complex = Lapack<T>::complex;
  using Real = typename Lapack<T>::Real;
  find<T>(routines.gebrd, "gebrd");
  find<Real>(routines.bdsdc, "bdsdc");
  find<Real>(routines.lasd0, "lasd0");
  find<Real>(routines.lasd1, "lasd1");
  find<T>(routines.hetrd, complex ? "hetrd" : "sytrd");
  find<Real>(routines.stedc, "stedc");
  find<T>(routines.gesdd, "gesdd");
  find<T>(routines.heevd, complex ? "heevd" : "syevd");
  find<T>(routines.geev, "geev");
  return routines;
}

}  // namespace

template <typename T>
const Lapack<T>& Lapack<T>::instance() {
  static const Lapack routines = open<T>();
  return routines;
}

template struct Lapack<float>;
template struct Lapack<double>;
template struct Lapack<std::complex<float>>;
template struct Lapack<std::complex<double>>;

}  // namespace mlx::core::cpu
