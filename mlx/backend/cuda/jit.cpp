// From source text to kernels: NVRTC, then the runtime's library loader.
#include "mlx/backend/cuda/jit.h"

#include <mutex>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "mlx/backend/cuda/embedded.h"
#include "mlx/backend/cuda/jit_ahead.h"
#include "mlx/backend/cuda/jit_archive.h"
#include "mlx/backend/cuda/jit_cache.h"
#include "mlx/backend/cuda/jit_library.h"
#include "mlx/backend/cuda/runtime/shared_library.h"
#include "mlx/core/errors.h"
#include "mlx/version.h"

namespace mlx::core::cuda {

namespace {

/** Without contraction each instruction of the library rounds as it does on the CPU. */
const std::vector<std::string>& options_for(TextOf whose) {
  static const auto* library =
      new std::vector<std::string>{"-std=c++20", "-default-device", "--fmad=false"};
  static const auto* user = [] {
    auto* all = new std::vector<std::string>{"-std=c++20", "-default-device"};
    for (const std::string& folder : cuda_header_folders()) {
      all->push_back("--include-path=" + folder);
    }
    return all;
  }();
  return whose == TextOf::library ? *library : *user;
}

void check_compiler(nvrtcResult said, const char* what) {
  nvrtcResult code = or_fault(said, NVRTC_ERROR_INTERNAL_ERROR);
  if (code != NVRTC_SUCCESS) {
    throw std::runtime_error(error_message(OpScope::current(),
                                           "The run-time compiler failed while ", what, ": ",
                                           JitLibrary::instance().error_string(code), "."));
  }
}

std::string architecture_of(int device) {
  const auto& facts = device_facts(device);
  const char* own = facts.major == 9 ? "a" : "";  // with the instructions that only it has
  return "sm_" + std::to_string(facts.major) + std::to_string(facts.minor) + own;
}

std::string digest_of_headers() {
  std::string all = std::to_string(CUDART_VERSION) + " " + version();
  for (int i = 0; i < embedded_header_count; i++) {
    all += embedded_headers[i].text;
  }
  return text_digest(all);
}

/** What the machine code depends on besides its own text. */
std::string common_text(TextOf whose) {
  static const auto* headers = new std::string(digest_of_headers());
  std::string all = *headers;
  for (const std::string& option : options_for(whose)) {
    all += option;
  }
  return all;
}

Kernel load(const std::string& code, const char* name) {
  cudaLibrary_t library;
  check_cuda(
      [&] {
        return cudaLibraryLoadData(&library, code.data(), nullptr, nullptr, 0, nullptr, nullptr, 0);
      },
      "loading a compiled kernel");
  cudaKernel_t kernel;
  check_cuda([&] { return cudaLibraryGetKernel(&kernel, library, name); },
             "finding a compiled kernel");
  return reinterpret_cast<Kernel>(kernel);
}

/** nullptr if there is no code, or none that the driver takes. */
Kernel load_if_any(const std::optional<std::string>& code, const char* name) {
  try {
    return code ? load(*code, name) : nullptr;
  } catch (const std::runtime_error&) {
    return nullptr;
  }
}

/** Kernels of one sort by their keys. */
class KnownKernels {
 public:
  /** The kernel of the key; `make` makes it when the key is new. */
  template <typename F>
  Kernel find(const std::string& key, F&& make) {
    {
      std::lock_guard lock(mutex_);
      auto it = kernels_.find(key);
      if (it != kernels_.end()) {
        return it->second;
      }
    }
    Kernel kernel = make();
    std::lock_guard lock(mutex_);
    return kernels_.emplace(key, kernel).first->second;
  }

  /** Whether the key has no kernel so far and this was not asked before. */
  bool is_first_word_of(const std::string& key) {
    std::lock_guard lock(mutex_);
    return kernels_.count(key) == 0 && foreseen_.insert(key).second;
  }

 private:
  std::mutex mutex_;
  std::unordered_map<std::string, Kernel> kernels_;
  std::unordered_set<std::string> foreseen_;
};

/** What the compiler has to say, with the text where it is ours. */
std::string failure_text(const JitLibrary& compiler, nvrtcProgram program,
                         const std::string& source, TextOf whose) {
  size_t size = 0;
  compiler.log_size(program, &size);
  std::string log(size, '\0');
  compiler.log(program, log.data());
  while (!log.empty() && (log.back() == '\0' || log.back() == '\n')) {
    log.pop_back();
  }
  return whose == TextOf::library ? log + "\n" + source : log;
}

/** Those whose texts have keys. */
KnownKernels& kernels_by_key() {
  static auto* known = new KnownKernels;
  return *known;
}

std::string digest_of(const std::string& source, const std::string& architecture, TextOf whose) {
  return text_digest(common_text(whose) + architecture + source);
}

/** The library's own, compiled ahead, from the cache, or compiled: also where the driver takes none
 *  of what is there. */
Kernel load_or_compile(const std::string& source, const std::string& architecture, const char* name,
                       TextOf whose) {
  internal_check(whose == TextOf::user || source.find("begin_kernel();") != std::string::npos ||
                     source.find("let_next_start();") != std::string::npos,
                 "a kernel does not wait for the one before it");
  std::string digest = digest_of(source, architecture, whose);
  if (Kernel made = load_if_any(KernelArchive::own().read(digest), name)) return made;
  if (Kernel made = load_if_any(compiled_ahead(digest), name)) return made;
  if (Kernel made = load_if_any(read_cached(digest), name)) return made;
  std::string code = compile_source(source, architecture, whose);
  write_cached(digest, code);
  return load(code, name);
}

}  // namespace

std::string compile_source(const std::string& source, const std::string& architecture,
                           TextOf whose) {
  const auto& compiler = JitLibrary::instance();
  std::vector<const char*> names, texts;
  for (int i = 0; i < embedded_header_count; i++) {
    names.push_back(embedded_headers[i].name);
    texts.push_back(embedded_headers[i].text);
  }
  nvrtcProgram program;
  check_compiler(compiler.create(&program, source.c_str(), "kernel.cu", embedded_header_count,
                                 texts.data(), names.data()),
                 "starting");
  std::string target = "--gpu-architecture=" + architecture;
  std::vector<const char*> all{target.c_str()};
  for (const std::string& option : options_for(whose)) {
    all.push_back(option.c_str());
  }
  nvrtcResult result = compiler.compile(program, static_cast<int>(all.size()), all.data());
  if (result != NVRTC_SUCCESS) {
    std::string what = failure_text(compiler, program, source, whose);
    compiler.destroy(&program);
    throw std::runtime_error(
        error_message(OpScope::current(), "A kernel does not compile: ", what));
  }
  size_t size = 0;
  compiler.cubin_size(program, &size);
  std::string code(size, '\0');
  result = compiler.cubin(program, code.data());
  compiler.destroy(&program);
  check_compiler(result, "writing machine code");
  return code;
}

Kernel kernel_of(const std::string& key, const char* name, const Stream& s,
                 const std::function<std::string()>& source, TextOf whose) {
  return kernels_by_key().find(key, [&] {
    use_device(s.device.index);
    return load_or_compile(source(), architecture_of(s.device.index), name, whose);
  });
}

void foresee_kernel(const std::string& key, const Stream& s,
                    const std::function<std::string()>& source) noexcept {
  try {
    if (!kernels_by_key().is_first_word_of(key)) return;
    std::string text = source(), architecture = architecture_of(s.device.index);
    std::string digest = digest_of(text, architecture, TextOf::library);
    if (KernelArchive::own().has(digest) || has_cached(digest)) return;
    JitLibrary::instance();  // it has to be there for longer than the threads
    compile_ahead(digest, [=] {
      std::string code = compile_source(text, architecture);
      write_cached(digest, code);
      return code;
    });
  } catch (const std::exception&) {
    // Whoever needs the kernel meets the same failure, and can report it.
  }
}

Kernel precompiled_kernel(const std::string& code, const std::string& name, const Stream& s) {
  static auto* known = new KnownKernels;
  return known->find(text_digest(code) + name, [&] {
    use_device(s.device.index);
    return load(code, name.c_str());
  });
}

void ask_for_shared(Kernel kernel, size_t bytes) {
  if (bytes > (48 << 10)) {
    check_cuda(
        [&] {
          return cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                      static_cast<int>(bytes));
        },
        "asking for shared memory");
  }
}

uint64_t launch(const KernelLaunch& launch, const Stream& s) {
  bool is_work = launch.grid.x > 0 && launch.grid.y > 0 && launch.grid.z > 0;
  return is_work ? enqueue(s, launch) : 0;
}

unsigned blocks_for(int64_t count, int64_t each) {
  int64_t blocks = (count + each - 1) / each;
  check(blocks < (int64_t{1} << 31), OpScope::current(), "An array of ", count,
        " elements is too large for one kernel.");
  return static_cast<unsigned>(blocks);
}

}  // namespace mlx::core::cuda
