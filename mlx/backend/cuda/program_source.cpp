// Writing programs as CUDA: the instructions are one function of values, which the kernel calls for
// each element of a pack.
#include "mlx/backend/cuda/program_source.h"

#include <algorithm>
#include <sstream>

#include "mlx/backend/cuda/types.h"

namespace mlx::core::cuda {

namespace {

class Writer {
 public:
  Writer(const Program& program, const ProgramVariant& variant)
      : program_(program), variant_(variant) {}

  std::string write() {
    os_ << "#include \"mlx/backend/cuda/kernels/" << (variant_.paired() ? "random" : "values")
        << ".h\"\n"
        << "using namespace mlx::core::kernels;\n"
        << "using Index = " << (variant_.wide ? "int64_t" : "int32_t") << ";\n"
        << "using Unsigned = " << (variant_.wide ? "uint64_t" : "uint32_t") << ";\n"
        << "constexpr int width = " << variant_.width << ";\n";
    write_parameters();
    write_body();
    write_kernel();
    return os_.str();
  }

 private:
  size_t inputs() const { return program_.inputs.size(); }
  const char* type(uint16_t value) const { return type_name(program_.type_of(value)); }
  std::string held(uint16_t value) const { return std::string("Held<") + type(value) + ">"; }

  bool is_scalar(size_t i) const {
    return variant_.inputs[i] == ProgramVariant::one || variant_.inputs[i] == ProgramVariant::given;
  }
  bool is_made(size_t i) const { return ProgramVariant::is_made(variant_.inputs[i]); }

  void write_parameters() {
    os_ << (variant_.joined ? "struct Part {\n  int64_t first_block;\n" : "struct Parameters {\n")
        << "  int64_t count;\n";
    if (variant_.rank) {
      os_ << "  int64_t shape[" << variant_.rank << "];\n";
    }
    if (inputs()) {
      os_ << "  Operand in[" << inputs() << "];\n";
    }
    os_ << "  void* out[" << program_.outputs.size() << "];\n";
    size_t strided = count_strided();
    if (strided) {
      os_ << "  int64_t strides[" << strided << "][" << variant_.rank << "];\n";
    }
    os_ << "};\n";
    if (variant_.joined) {
      os_ << "struct Parameters {\n  int64_t parts;\n  Part part[" << most_parts(program_)
          << "];\n};\n";
    }
  }

  size_t count_strided() const {
    size_t count = 0;
    for (auto access : variant_.inputs) {
      count += access == ProgramVariant::strided;
    }
    return count;
  }

  void write_body() {
    os_ << "MLX_FN void body(";
    for (size_t i = 0; i < inputs(); i++) {
      os_ << held(i) << " v" << i << ", ";
    }
    for (size_t o = 0; o < program_.outputs.size(); o++) {
      os_ << (o ? ", " : "") << held(program_.outputs[o]) << "& o" << o;
    }
    os_ << ") {\n";
    for (size_t k = 0; k < program_.code.size(); k++) {
      write_instruction(program_.code[k], inputs() + k);
    }
    for (size_t o = 0; o < program_.outputs.size(); o++) {
      os_ << "  o" << o << " = v" << program_.outputs[o] << ";\n";
    }
    os_ << "}\n";
  }

  void write_instruction(const Instruction& step, size_t value) {
    const auto& info = elementwise_info(step.op);
    const char* result = type_name(step.result);
    os_ << "  Held<" << result << "> v" << value << " = ";
    if (step.op == ElementwiseOp::Cast) {
      os_ << "cast_held<" << result << ">(";
    } else if (step.op == ElementwiseOp::Select) {
      os_ << "select<Held<" << result << ">>(";
    } else {
      os_ << "run_held<op::" << info.name << ", " << result << ">(";
    }
    for (int i = 0; i < info.arity; i++) {
      os_ << (i ? ", v" : "v") << step.args[i];
    }
    os_ << ");\n";
  }

  void write_kernel() {
    const char* start = variant_.paired() ? "start" : "first";
    os_ << "extern \"C\" __global__ void __launch_bounds__(" << program_threads
        << ") program(const __grid_constant__ Parameters " << (variant_.joined ? "all" : "p")
        << ") {\n  begin_kernel();\n  Index block = static_cast<Index>(blockIdx.x);\n";
    if (variant_.joined) write_search();
    os_ << "  Index " << start << " = (block * " << program_threads << " + threadIdx.x) * width;\n"
        << "  Index count = static_cast<Index>(p.count);\n";
    if (variant_.paired()) {
      os_ << "  Index half = (count + 1) / 2;\n";
    }
    os_ << "  if (" << start << " >= " << (variant_.paired() ? "half" : "count") << ") return;\n";
    for (size_t i = 0; i < inputs(); i++) {
      if (is_scalar(i)) {
        bool given = variant_.inputs[i] == ProgramVariant::given;
        os_ << "  auto s" << i << " = hold<" << type(i) << ">(" << (given ? "given<" : "scalar<")
            << type(i) << ">(p.in[" << i << "]));\n";
      }
    }
    variant_.paired() ? write_pair() : write_elements();
    os_ << "}\n";
  }

  /** The last part that begins at this block or before. */
  void write_search() {
    int64_t step = 1;
    while (2 * step < most_parts(program_)) step *= 2;
    os_ << "  int at = 0;\n  for (int step = " << step << "; step > 0; step /= 2) {\n"
        << "    int next = at + step;\n"
        << "    if (next < all.parts && all.part[next].first_block <= block) at = next;\n  }\n"
        << "  const Part& p = all.part[at];\n"
        << "  block -= static_cast<Index>(p.first_block);\n";
  }

  void write_elements() {
    write_positions();
    if (variant_.width == 1) {
      write_single("first");
    } else if (variant_.rank) {
      write_pack();  // rows are whole packs
    } else {
      os_ << "  if (first + width > count) {\n    for (Index i = first; i < count; i++) {\n";
      write_single("i");
      os_ << "    }\n    return;\n  }\n";
      write_pack();
    }
  }

  void write_pair() {
    for (size_t i = 0; i < inputs(); i++) {
      if (is_made(i)) {
        bool given = variant_.inputs[i] == ProgramVariant::made_given;
        os_ << "  auto w" << i << " = make_words<width>(" << (given ? "given" : "stored")
            << "_key(p.in[" << i << "]), start, half, count);\n";
      }
    }
    os_ << "  #pragma unroll\n  for (int side = 0; side < 2; side++) {\n"
        << "  Index first = start + side * half;\n";
    if (variant_.width == 1) {
      os_ << "  if (first >= count) return;\n";
    }
    write_positions();
    variant_.width == 1 ? write_single("first") : write_pack();
    os_ << "  }\n";
  }

  /** For each strided input x the position `at_x` of the pack's first element. */
  void write_positions() {
    int rank = variant_.rank;
    if (!rank) {
      return;
    }
    size_t strided = count_strided();
    os_ << "  Unsigned rest = static_cast<Unsigned>(first), next;\n  Index along;\n";
    for (size_t x = 0; x < strided; x++) {
      os_ << "  Index at_" << x << " = 0;\n";
    }
    for (int d = rank - 1; d >= 0; d--) {
      if (d > 0) {
        os_ << "  next = rest / static_cast<Unsigned>(p.shape[" << d << "]);\n"
            << "  along = static_cast<Index>(rest - next * static_cast<Unsigned>(p.shape[" << d
            << "]));\n  rest = next;\n";
      } else {
        os_ << "  along = static_cast<Index>(rest);\n";
      }
      for (size_t x = 0; x < strided; x++) {
        os_ << "  at_" << x << " += along * static_cast<Index>(p.strides[" << x << "][" << d
            << "]);\n";
      }
    }
  }

  void write_single(const char* at) {
    for (size_t i = 0, x = 0; i < inputs(); i++) {
      if (variant_.inputs[i] == ProgramVariant::in_order) {
        os_ << "  auto a" << i << " = hold<" << type(i) << ">(load<" << type(i) << ">(p.in[" << i
            << "].data, " << at << "));\n";
      } else if (variant_.inputs[i] == ProgramVariant::strided) {
        os_ << "  auto a" << i << " = hold<" << type(i) << ">(load<" << type(i) << ">(p.in[" << i
            << "].data, at_" << x++ << "));\n";
      } else if (is_made(i)) {
        os_ << "  auto a" << i << " = w" << i << ".at[side][0];\n";
      }
    }
    for (size_t o = 0; o < program_.outputs.size(); o++) {
      os_ << "  " << held(program_.outputs[o]) << " r" << o << ";\n";
    }
    os_ << "  body(";
    for (size_t i = 0; i < inputs(); i++) {
      os_ << (is_scalar(i) ? "s" : "a") << i << ", ";
    }
    for (size_t o = 0; o < program_.outputs.size(); o++) {
      os_ << (o ? ", r" : "r") << o;
    }
    os_ << ");\n";
    for (size_t o = 0; o < program_.outputs.size(); o++) {
      const char* t = type(program_.outputs[o]);
      os_ << "  store<" << t << ">(p.out[" << o << "], " << at << ", release<" << t << ">(r" << o
          << "));\n";
    }
  }

  void write_pack() {
    for (size_t i = 0; i < inputs(); i++) {
      if (variant_.inputs[i] == ProgramVariant::in_order) {
        os_ << "  auto a" << i << " = load_pack<" << type(i) << ", width>(p.in[" << i
            << "].data, first);\n";
      }
    }
    for (size_t o = 0; o < program_.outputs.size(); o++) {
      os_ << "  Pack<" << type(program_.outputs[o]) << ", width> r" << o << ";\n";
    }
    os_ << "  #pragma unroll\n  for (int k = 0; k < width; k++) {\n";
    for (size_t o = 0; o < program_.outputs.size(); o++) {
      os_ << "    " << held(program_.outputs[o]) << " e" << o << ";\n";
    }
    os_ << "    body(";
    for (size_t i = 0, x = 0; i < inputs(); i++) {
      write_element(i, x);
      os_ << ", ";
    }
    for (size_t o = 0; o < program_.outputs.size(); o++) {
      os_ << (o ? ", e" : "e") << o;
    }
    os_ << ");\n";
    for (size_t o = 0; o < program_.outputs.size(); o++) {
      const char* t = type(program_.outputs[o]);
      os_ << "    r" << o << ".at[k] = static_cast<Stored<" << t << ">>(release<" << t << ">(e" << o
          << "));\n";
    }
    os_ << "  }\n";
    for (size_t o = 0; o < program_.outputs.size(); o++) {
      os_ << "  store_pack(p.out[" << o << "], first, r" << o << ");\n";
    }
  }

  /** Element k of an input of the pack; `x` counts the strided ones. */
  void write_element(size_t i, size_t& x) {
    switch (variant_.inputs[i]) {
      case ProgramVariant::one:
      case ProgramVariant::given:
        os_ << "s" << i;
        break;
      case ProgramVariant::in_order:
        os_ << "hold(from_stored<" << type(i) << ">(a" << i << ".at[k]))";
        break;
      case ProgramVariant::strided:
        os_ << "hold(load<" << type(i) << ">(p.in[" << i << "].data, at_" << x
            << " + k * static_cast<Index>(p.strides[" << x << "][" << variant_.rank - 1 << "])))";
        x++;
        break;
      case ProgramVariant::made:
      case ProgramVariant::made_given:
        os_ << "w" << i << ".at[side][k]";
        break;
    }
  }

  const Program& program_;
  const ProgramVariant& variant_;
  std::ostringstream os_;
};

}  // namespace

bool ProgramVariant::paired() const { return std::any_of(inputs.begin(), inputs.end(), is_made); }

std::string ProgramVariant::key() const {
  std::string key;
  for (auto access : inputs) {
    key += static_cast<char>(access);
  }
  key += "|" + std::to_string(width) + "|" + std::to_string(rank);
  key += wide ? "w" : "n";
  key += joined ? "j" : "";
  return key;
}

int64_t most_parts(const Program& program) {
  constexpr size_t room = 4096, word = sizeof(uint64_t);
  size_t part = 2 + 2 * program.inputs.size() + program.outputs.size();
  return static_cast<int64_t>((room - word) / (part * word));
}

std::string program_source(const Program& program, const ProgramVariant& variant) {
  return Writer(program, variant).write();
}

}  // namespace mlx::core::cuda
