// GGUF files are not supported: the functions of the API say so.
#include <stdexcept>

#include "mlx/io.h"

namespace mlx::core {

GGUFLoad load_gguf(const std::string& file, StreamOrDevice) {
  throw std::runtime_error("[load_gguf] GGUF files are not supported, so " + file +
                           " cannot be loaded.");
}

void save_gguf(std::string file, std::unordered_map<std::string, array>,
               std::unordered_map<std::string, GGUFMetaData>) {
  throw std::runtime_error("[save_gguf] GGUF files are not supported, so " + file +
                           " cannot be saved.");
}

}  // namespace mlx::core
