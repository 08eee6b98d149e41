// Compiled kernels on disk. Files belong to the user alone and start with a checksum, so that one
// that was cut or changed is none.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace mlx::core::cuda {

/** 128 bits that depend on every byte of the text, as hexadecimal digits. */
std::string text_digest(const std::string& text);

/** What follows the checksum that an entry starts with; nothing if they do not match. */
std::optional<std::string> checked_code(std::string entry);

/** The entry's bytes; nothing if there is none that is ours, whole and safe to load. */
std::optional<std::string> read_cached(const std::string& digest);

/** Whether there seems to be an entry. */
bool has_cached(const std::string& digest);

/** Keeps an entry. Failing to do so is no error: the next process compiles again. */
void write_cached(const std::string& digest, const std::string& code);

}  // namespace mlx::core::cuda
