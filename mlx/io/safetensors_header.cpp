// An event-driven reader for the header: nothing is built that the format does not have, so deep
// nesting or a million odd keys cost nothing.
#include "mlx/io/safetensors_header.h"

#include <map>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "mlx/core/errors.h"
#include "mlx/io/format.h"

namespace mlx::core::io {

namespace {

using nlohmann::json;

/** Where in the header the parser is. Each state is entered by an event of the one before. */
enum class At { start, tensors, metadata, tensor, shape, offsets, finished };

class HeaderHandler : public nlohmann::json_sax<json> {
 public:
  explicit HeaderHandler(SafetensorsHeader& header) : header_(header) {}

  const std::string& problem() const { return problem_; }

  bool start_object(size_t) override {
    if (at_ == At::start) {
      return enter(At::tensors);
    }
    if (at_ == At::tensors && key_ == "__metadata__") {
      return enter(At::metadata);
    }
    if (at_ == At::tensors) {
      header_.tensors.push_back({.name = key_, .dtype = {}, .shape = {}});
      seen_dtype_ = seen_shape_ = false;
      offsets_.clear();
      seen_offsets_ = false;
      return enter(At::tensor);
    }
    return stop("has an object where none belongs");
  }

  bool end_object() override {
    if (at_ == At::tensor) {
      return end_tensor();
    }
    return enter(at_ == At::metadata ? At::tensors : At::finished);
  }

  bool key(std::string& name) override {
    key_ = name;
    if (at_ == At::tensors && !names_.insert(name).second) {
      return stop("names '" + shown(name) + "' twice");
    }
    if (at_ == At::metadata && header_.metadata.contains(name)) {
      return stop("has the metadata '" + shown(name) + "' twice");
    }
    return true;
  }

  bool string(std::string& value) override {
    if (at_ == At::metadata) {
      header_.metadata.emplace(key_, std::move(value));
      return true;
    }
    if (at_ == At::tensor && key_ == "dtype" && !seen_dtype_) {
      header_.tensors.back().dtype = std::move(value);
      return seen_dtype_ = true;
    }
    return stop("has a string where none belongs");
  }

  bool start_array(size_t) override {
    if (at_ == At::tensor && key_ == "shape" && !seen_shape_) {
      return (seen_shape_ = true) && enter(At::shape);
    }
    if (at_ == At::tensor && key_ == "data_offsets" && !seen_offsets_) {
      return (seen_offsets_ = true) && enter(At::offsets);
    }
    return stop("has a list where none belongs");
  }

  bool end_array() override {
    if (at_ == At::offsets && offsets_.size() != 2) {
      return stop("has data_offsets that are not two numbers");
    }
    return enter(At::tensor);
  }

  bool number_unsigned(uint64_t value) override {
    if (at_ == At::shape && value <= INT64_MAX) {
      header_.tensors.back().shape.push_back(static_cast<int64_t>(value));
      return true;
    }
    if (at_ == At::offsets && offsets_.size() < 2) {
      offsets_.push_back(value);
      return true;
    }
    return stop("has a number that does not belong there");
  }

  bool number_integer(int64_t) override { return stop("has a negative number"); }
  bool number_float(double, const std::string&) override { return stop("has a fraction"); }
  bool boolean(bool) override { return stop("has a truth value"); }
  bool binary(json::binary_t&) override { return stop("has binary data"); }
  bool null() override {
    bool no_metadata = at_ == At::tensors && key_ == "__metadata__";
    return no_metadata || stop("has a null");
  }

  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception& e) override {
    return stop("is not JSON: " + shown(e.what()));
  }

 private:
  bool enter(At state) {
    at_ = state;
    return true;
  }

  bool stop(std::string problem) {
    problem_ = std::move(problem);
    return false;
  }

  bool end_tensor() {
    TensorEntry& entry = header_.tensors.back();
    if (!seen_dtype_ || !seen_shape_ || offsets_.size() != 2) {
      return stop("lacks dtype, shape or data_offsets of '" + shown(entry.name) + "'");
    }
    entry.begin = offsets_[0];
    entry.end = offsets_[1];
    return enter(At::tensors);
  }

  SafetensorsHeader& header_;
  At at_ = At::start;
  std::string key_;
  std::string problem_;
  std::unordered_set<std::string> names_;
  std::vector<uint64_t> offsets_;
  bool seen_dtype_ = false;
  bool seen_shape_ = false;
  bool seen_offsets_ = false;
};

/** Values of more than one part are put together by hand: their destructors take memory. */
std::string json_text(std::string_view text) { return json(text).dump(); }

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view text, const std::string& label) {
  SafetensorsHeader header;
  HeaderHandler handler(header);
  if (!json::sax_parse(text.begin(), text.end(), &handler)) {
    throw std::runtime_error(
        error_message("load_safetensors", "The header of ", label, " ", handler.problem(), "."));
  }
  return header;
}

std::string format_safetensors_header(const SafetensorsHeader& header) {
  try {
    std::string out = "{";
    if (!header.metadata.empty()) {
      std::map<std::string_view, std::string_view> sorted(header.metadata.begin(),
                                                          header.metadata.end());
      std::string pairs;
      for (const auto& [key, value] : sorted) {
        pairs += (pairs.empty() ? "" : ",") + json_text(key) + ":" + json_text(value);
      }
      out += "\"__metadata__\":{" + pairs + "}";
    }
    for (const auto& t : header.tensors) {
      out += (out.size() > 1 ? "," : "") + json_text(t.name) + ":{\"data_offsets\":[" +
             std::to_string(t.begin) + "," + std::to_string(t.end) +
             "],\"dtype\":" + json_text(t.dtype) + ",\"shape\":[";
      for (size_t i = 0; i < t.shape.size(); i++) {
        out += (i ? "," : "") + std::to_string(t.shape[i]);
      }
      out += "]}";
    }
    return out + "}";
  } catch (const json::exception& e) {
    fail("save_safetensors", "Names and metadata must be UTF-8: ", shown(e.what()));
  }
}

}  // namespace mlx::core::io
