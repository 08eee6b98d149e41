// The CUDA text around the source of a user's kernel.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "mlx/fast.h"

namespace mlx::core {

/** A kernel as its user describes it. */
struct KernelDescription {
  std::string name;
  std::vector<std::string> input_names, output_names;
  std::string source, header;
};

struct KernelText {
  std::string function;    // what the text's kernel is called
  std::string text;        // to be compiled
  std::vector<int> facts;  // that it asks for, KernelFact for each input
};

/** Throws std::invalid_argument where a name is none of C++, or is there twice. */
void check_names(const KernelDescription& kernel);

/** The text for inputs and outputs of these dtypes. Lines of the source are numbered as the user
 *  has them, under the kernel's name. */
KernelText kernel_text(const KernelDescription& kernel,
                       const std::vector<std::pair<std::string, fast::TemplateArg>>& template_args,
                       const std::vector<Dtype>& input_dtypes,
                       const std::vector<Dtype>& output_dtypes);

}  // namespace mlx::core
