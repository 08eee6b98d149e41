// From source text to kernels: NVRTC, then the runtime's library loader.
#include "mlx/backend/cuda/jit.h"

#include <mutex>
#include <unordered_map>
#include <vector>

#include "mlx/backend/cuda/embedded.h"
#include "mlx/backend/cuda/jit_cache.h"
#include "mlx/backend/cuda/jit_library.h"
#include "mlx/core/errors.h"
#include "mlx/version.h"

namespace mlx::core::cuda {

namespace {

// No contraction: each instruction rounds as it does on the CPU.
constexpr const char* options[] = {"-std=c++20", "--fmad=false", "-default-device"};

void check_compiler(nvrtcResult code, const char* what) {
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

/** What the machine code depends on besides its own text. */
const std::string& common_text() {
  static const auto* text = [] {
    auto* all = new std::string(std::to_string(CUDART_VERSION) + " ");
    *all += version();
    for (const char* option : options) {
      *all += option;
    }
    for (int i = 0; i < embedded_header_count; i++) {
      *all += embedded_headers[i].text;
    }
    *all = text_digest(*all);
    return all;
  }();
  return *text;
}

Kernel load(const std::string& code, const char* name) {
  cudaLibrary_t library;
  check_cuda(cudaLibraryLoadData(&library, code.data(), nullptr, nullptr, 0, nullptr, nullptr, 0),
             "loading a compiled kernel");
  cudaKernel_t kernel;
  check_cuda(cudaLibraryGetKernel(&kernel, library, name), "finding a compiled kernel");
  return reinterpret_cast<Kernel>(kernel);
}

/** From the cache, or compiled: also where the driver does not take what the cache has. */
Kernel load_or_compile(const std::string& source, const std::string& architecture,
                       const char* name) {
  std::string digest = text_digest(common_text() + architecture + source);
  if (auto code = read_cached(digest)) {
    try {
      return load(*code, name);
    } catch (const std::runtime_error&) {
      // An entry that is of no use is replaced.
    }
  }
  std::string code = compile_source(source, architecture);
  write_cached(digest, code);
  return load(code, name);
}

}  // namespace

std::string compile_source(const std::string& source, const std::string& architecture) {
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
  std::vector<const char*> all(std::begin(options), std::end(options));
  all.push_back(target.c_str());
  nvrtcResult result = compiler.compile(program, static_cast<int>(all.size()), all.data());
  size_t size = 0;
  if (result != NVRTC_SUCCESS) {
    compiler.log_size(program, &size);
    std::string log(size, '\0');
    compiler.log(program, log.data());
    compiler.destroy(&program);
    throw std::runtime_error(
        error_message(OpScope::current(), "A kernel does not compile: ", log, "\n", source));
  }
  compiler.cubin_size(program, &size);
  std::string code(size, '\0');
  result = compiler.cubin(program, code.data());
  compiler.destroy(&program);
  check_compiler(result, "writing machine code");
  return code;
}

Kernel kernel_of(const std::string& key, const char* name, const Stream& s,
                 const std::function<std::string()>& source) {
  static auto* mutex = new std::mutex;
  static auto* kernels = new std::unordered_map<std::string, Kernel>;
  {
    std::lock_guard lock(*mutex);
    auto it = kernels->find(key);
    if (it != kernels->end()) {
      return it->second;
    }
  }
  use_device(s.device.index);
  Kernel kernel = load_or_compile(source(), architecture_of(s.device.index), name);
  std::lock_guard lock(*mutex);
  return kernels->emplace(key, kernel).first->second;
}

void ask_for_shared(Kernel kernel, size_t bytes) {
  if (bytes > (48 << 10)) {
    check_cuda(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                    static_cast<int>(bytes)),
               "asking for shared memory");
  }
}

void launch(const KernelLaunch& launch, const Stream& s) {
  if (launch.grid.x > 0 && launch.grid.y > 0 && launch.grid.z > 0) {
    enqueue(s, launch);
  }
}

unsigned blocks_for(int64_t count, int64_t each) {
  int64_t blocks = (count + each - 1) / each;
  check(blocks < (int64_t{1} << 31), OpScope::current(), "An array of ", count,
        " elements is too large for one kernel.");
  return static_cast<unsigned>(blocks);
}

}  // namespace mlx::core::cuda
