// Writing the text: types, helpers, the template arguments as declarations, and the user's source
// as the body of a kernel that takes its arguments in one struct.
#include "mlx/ops/custom_kernel_text.h"

#include <algorithm>
#include <cctype>
#include <set>
#include <sstream>

#include "mlx/core/errors.h"
#include "mlx/primitives/custom_kernel.h"

namespace mlx::core {

namespace {

constexpr const char* op = "cuda_kernel";

/** What every kernel may use: CUDA's half types, integers by their widths, and what stands for
 *  shapes and strides. */
constexpr const char* prelude = R"(#if !__has_include(<cuda_fp16.h>)
#error "Kernels of your own need CUDA's headers: install nvidia-cuda-runtime or the CUDA toolkit"
#endif
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cuda/std/cstdint>

struct complex64_t {
  float re, im;
  __device__ float real() const { return re; }
  __device__ float imag() const { return im; }
};
struct complex128_t {
  double re, im;
  __device__ double real() const { return re; }
  __device__ double imag() const { return im; }
};
struct Shape {
  int values[KERNEL_AXES];
  __device__ const int& operator[](int axis) const { return values[axis]; }
  __device__ const int* data() const { return values; }
};
struct Strides {
  int64_t values[KERNEL_AXES];
  __device__ const int64_t& operator[](int axis) const { return values[axis]; }
  __device__ const int64_t* data() const { return values; }
};
/** Where element number `elem` lies, in elements. */
template <typename Index>
__device__ Index elem_to_loc(Index elem, const int* shape, const int64_t* strides, int ndim) {
  Index place = 0;
  for (int axis = ndim - 1; axis >= 0; axis--) {
    place += elem % shape[axis] * static_cast<Index>(strides[axis]);
    elem /= shape[axis];
  }
  return place;
}
)";

/** Takes the compiler longer than all the rest, so only where it is named. */
constexpr const char* groups = R"(#include <cooperative_groups.h>
namespace cg = cooperative_groups;
)";

const char* cuda_type(Dtype dtype) {
  constexpr const char* names[Dtype::count] = {
      "bool",   "uint8_t", "uint16_t",      "uint32_t",    "uint64_t",
      "int8_t", "int16_t", "int32_t",       "int64_t",     "__half",
      "float",  "double",  "__nv_bfloat16", "complex64_t", "complex128_t"};
  return names[static_cast<int>(dtype.val())];
}

bool is_letter(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

bool is_name(const std::string& text) {
  return !text.empty() && !std::isdigit(static_cast<unsigned char>(text[0])) &&
         std::all_of(text.begin(), text.end(), is_letter);
}

/** Whether the text has `word` as a whole. */
bool names(const std::string& text, const std::string& word) {
  for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
    size_t end = at + word.size();
    if ((at == 0 || !is_letter(text[at - 1])) && (end == text.size() || !is_letter(text[end]))) {
      return true;
    }
  }
  return false;
}

int facts_of(const std::string& source, const std::string& input) {
  return (names(source, input + "_shape") ? static_cast<int>(KernelFact::shape) : 0) |
         (names(source, input + "_strides") ? static_cast<int>(KernelFact::strides) : 0) |
         (names(source, input + "_ndim") ? static_cast<int>(KernelFact::ndim) : 0);
}

void write_template_argument(std::ostream& os, const std::string& name,
                             const fast::TemplateArg& value) {
  check(is_name(name), op, "The template argument '", name, "' has no name of C++.");
  if (auto* dtype = std::get_if<Dtype>(&value)) {
    os << "  using " << name << " = " << cuda_type(*dtype) << ";\n";
  } else if (auto* flag = std::get_if<bool>(&value)) {
    os << "  constexpr bool " << name << " = " << (*flag ? "true" : "false") << ";\n";
  } else {
    os << "  constexpr int " << name << " = " << std::get<int>(value) << ";\n";
  }
}

/** A member of the struct and the name under which the source knows it. */
struct Argument {
  std::string type, name;
};

std::vector<Argument> arguments_of(const KernelDescription& kernel, const std::vector<int>& facts,
                                   const std::vector<Dtype>& input_dtypes,
                                   const std::vector<Dtype>& output_dtypes) {
  std::vector<Argument> all;
  for (size_t i = 0; i < input_dtypes.size(); i++) {
    const std::string& name = kernel.input_names[i];
    all.push_back({std::string("const ") + cuda_type(input_dtypes[i]) + "*", name});
    if (asks_for(facts[i], KernelFact::shape)) all.push_back({"Shape", name + "_shape"});
    if (asks_for(facts[i], KernelFact::strides)) all.push_back({"Strides", name + "_strides"});
    if (asks_for(facts[i], KernelFact::ndim)) all.push_back({"int64_t", name + "_ndim"});
  }
  for (size_t i = 0; i < output_dtypes.size(); i++) {
    all.push_back({std::string(cuda_type(output_dtypes[i])) + "*", kernel.output_names[i]});
  }
  return all;
}

}  // namespace

void check_names(const KernelDescription& kernel) {
  check(is_name(kernel.name), op, "A kernel cannot be called '", kernel.name,
        "': letters, digits and '_' make a name.");
  check(!kernel.output_names.empty(), op, "A kernel has at least one output.");
  std::set<std::string> seen;
  for (auto* list : {&kernel.input_names, &kernel.output_names}) {
    for (const std::string& name : *list) {
      check(is_name(name), op, "An argument cannot be called '", name,
            "': letters, digits and '_' make a name.");
      check(seen.insert(name).second, op, "Two arguments are called '", name, "'.");
    }
  }
}

KernelText kernel_text(const KernelDescription& kernel,
                       const std::vector<std::pair<std::string, fast::TemplateArg>>& template_args,
                       const std::vector<Dtype>& input_dtypes,
                       const std::vector<Dtype>& output_dtypes) {
  KernelText out;
  out.function = "custom_kernel_" + kernel.name;
  for (const std::string& name : kernel.input_names) {
    out.facts.push_back(facts_of(kernel.source, name));
  }
  auto arguments = arguments_of(kernel, out.facts, input_dtypes, output_dtypes);
  std::ostringstream os;
  os << "#define KERNEL_AXES " << kernel_axes << "\n" << prelude;
  for (const std::string* text : {&kernel.source, &kernel.header}) {
    if (names(*text, "cooperative_groups") || names(*text, "cg")) {
      os << groups;
      break;
    }
  }
  os << "#line 1 \"" << kernel.name << ".header\"\n" << kernel.header << "\n";
  os << "#line 1 \"" << kernel.name << ".arguments\"\n";
  os << "struct " << out.function << "_arguments {\n";
  for (auto& argument : arguments) {
    os << "  " << argument.type << " " << argument.name << ";\n";
  }
  os << "};\nextern \"C\" __global__ void " << out.function << "(const __grid_constant__ "
     << out.function << "_arguments kernel_arguments) {\n";
  for (auto& [name, value] : template_args) {
    write_template_argument(os, name, value);
  }
  for (auto& [type, name] : arguments) {
    bool plain = type.back() == '*' || type == "int64_t";
    os << "  " << (plain ? "auto " : "const auto& ") << name << " = "
       << (type == "int64_t" ? "(int)" : "") << "kernel_arguments." << name << ";\n";
  }
  os << "#line 1 \"" << kernel.name << "\"\n" << kernel.source << "\n}\n";
  out.text = os.str();
  return out;
}

}  // namespace mlx::core
