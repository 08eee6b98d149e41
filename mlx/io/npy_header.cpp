// A reader for exactly the dict literals that NumPy writes, and their writer.
#include "mlx/io/npy_header.h"

#include <charconv>

#include "mlx/io/format.h"

namespace mlx::core::io {

namespace {

class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& label) : text_(text), label_(label) {}

  NpyHeader parse() {
    NpyHeader header;
    bool descr = false, order = false, shape = false;
    expect('{');
    while (!accept('}')) {
      std::string key = string();
      expect(':');
      if (key == "descr" && !descr) {
        header.descr = string();
        descr = true;
      } else if (key == "fortran_order" && !order) {
        header.fortran_order = boolean();
        order = true;
      } else if (key == "shape" && !shape) {
        header.shape = tuple();
        shape = true;
      } else {
        fail("has an unexpected or repeated key");
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_spaces();
    if (!text_.empty()) {
      fail("goes on after its end");
    }
    if (!descr || !order || !shape) {
      fail("lacks one of descr, fortran_order and shape");
    }
    return header;
  }

 private:
  [[noreturn]] void fail(const char* what) {
    throw std::runtime_error(error_message("load", "The npy header of ", label_, " ", what, "."));
  }

  void skip_spaces() {
    size_t end = text_.find_first_not_of(" \t\r\n");
    text_.remove_prefix(end == std::string_view::npos ? text_.size() : end);
  }

  bool accept(char c) {
    skip_spaces();
    if (text_.empty() || text_[0] != c) {
      return false;
    }
    text_.remove_prefix(1);
    return true;
  }

  void expect(char c) {
    if (!accept(c)) {
      fail("is not a dict of descr, fortran_order and shape");
    }
  }

  std::string string() {
    skip_spaces();
    if (text_.empty() || (text_[0] != '\'' && text_[0] != '"')) {
      fail("has something other than a string; structured dtypes are not supported");
    }
    size_t end = text_.find(text_[0], 1);
    if (end == std::string_view::npos) {
      fail("has a string without an end");
    }
    std::string out(text_.substr(1, end - 1));
    text_.remove_prefix(end + 1);
    return out;
  }

  bool boolean() {
    skip_spaces();
    for (bool value : {false, true}) {
      std::string_view word = value ? "True" : "False";
      if (text_.starts_with(word)) {
        text_.remove_prefix(word.size());
        return value;
      }
    }
    fail("has a fortran_order that is neither True nor False");
  }

  std::vector<int64_t> tuple() {
    std::vector<int64_t> out;
    expect('(');
    while (!accept(')')) {
      skip_spaces();
      int64_t value;
      auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), value);
      if (error != std::errc()) {
        fail("has a shape that is not a tuple of integers");
      }
      text_.remove_prefix(end - text_.data());
      accept('L');  // Python 2 wrote long integers so
      out.push_back(value);
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return out;
  }

  std::string_view text_;
  const std::string& label_;
};

/** The type code without byte order: `f4`. */
std::string type_code(Dtype dtype) {
  if (dtype == bfloat16) {
    return "V2";
  }
  const char* letters = "buifcV";
  return letters[static_cast<int>(kindof(dtype))] + std::to_string(dtype.size());
}

}  // namespace

NpyHeader parse_npy_header(std::string_view text, const std::string& label) {
  return HeaderParser(text, label).parse();
}

std::string format_npy_header(const NpyHeader& header) {
  std::string out = "{'descr': '" + header.descr + "', 'fortran_order': ";
  out += header.fortran_order ? "True" : "False";
  out += ", 'shape': (";
  for (size_t i = 0; i < header.shape.size(); i++) {
    out += (i ? " " : "") + std::to_string(header.shape[i]);
    out += i == 0 || i + 1 < header.shape.size() ? "," : "";
  }
  return out + "), }";
}

std::string descr_from_dtype(Dtype dtype) {
  return (dtype.size() == 1 ? "|" : "<") + type_code(dtype);
}

NpyDtype dtype_from_descr(const std::string& descr) {
  static constexpr Dtype all[] = {
#define MLX_LIST(T, name) name,
      MLX_FOR_EACH_DTYPE(MLX_LIST)
#undef MLX_LIST
  };
  bool has_order = !descr.empty() && std::string_view("<>|=").find(descr[0]) != std::string::npos;
  std::string code = descr.substr(has_order ? 1 : 0);
  if (code == "?") {
    code = "b1";
  }
  for (Dtype dtype : all) {
    if (code == type_code(dtype)) {
      return {dtype, descr[0] == '>' && dtype.size() > 1};
    }
  }
  fail("load", "Arrays of the NumPy type '", shown(descr), "' are not supported.");
}

}  // namespace mlx::core::io
