// Discrete Fourier transforms of any length, along one or more axes. Real inputs are computed in
// float32, others in complex64, float64 and complex128 in double; results are complex of that
// width, or real of it where they are real. The error relative to the root mean square of a row
// stays below 3e-7, in double 1e-15. An input axis is cut off or padded with zeros to the lengths
// `n`. Throws std::invalid_argument for lengths below 1, axes that are out of range or repeated,
// and arrays without axes.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "mlx/array.h"
#include "mlx/utils.h"

namespace mlx::core::fft {

/** Which of the two directions is scaled by 1/n, or both by 1/sqrt(n). */
enum class FFTNorm { Backward, Ortho, Forward };

/** Complex transforms: over lengths and axes, over axes, over all axes; of one axis; of two. */
array fftn(const array& a, const Shape& n, const std::vector<int>& axes,
           FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array fftn(const array& a, const std::vector<int>& axes, FFTNorm norm = FFTNorm::Backward,
           StreamOrDevice s = {});
array fftn(const array& a, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array ifftn(const array& a, const Shape& n, const std::vector<int>& axes,
            FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array ifftn(const array& a, const std::vector<int>& axes, FFTNorm norm = FFTNorm::Backward,
            StreamOrDevice s = {});
array ifftn(const array& a, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array fft(const array& a, int n, int axis, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array fft(const array& a, int axis = -1, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array ifft(const array& a, int n, int axis, FFTNorm norm = FFTNorm::Backward,
           StreamOrDevice s = {});
array ifft(const array& a, int axis = -1, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array fft2(const array& a, const Shape& n, const std::vector<int>& axes,
           FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array fft2(const array& a, const std::vector<int>& axes = {-2, -1},
           FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array ifft2(const array& a, const Shape& n, const std::vector<int>& axes,
            FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array ifft2(const array& a, const std::vector<int>& axes = {-2, -1},
            FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});

/** Transforms of real arrays: the last of the axes keeps its first n / 2 + 1 numbers, and the
 * inverse starts from them, by default for an even n. */
array rfftn(const array& a, const Shape& n, const std::vector<int>& axes,
            FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array rfftn(const array& a, const std::vector<int>& axes, FFTNorm norm = FFTNorm::Backward,
            StreamOrDevice s = {});
array rfftn(const array& a, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array irfftn(const array& a, const Shape& n, const std::vector<int>& axes,
             FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array irfftn(const array& a, const std::vector<int>& axes, FFTNorm norm = FFTNorm::Backward,
             StreamOrDevice s = {});
array irfftn(const array& a, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array rfft(const array& a, int n, int axis, FFTNorm norm = FFTNorm::Backward,
           StreamOrDevice s = {});
array rfft(const array& a, int axis = -1, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array irfft(const array& a, int n, int axis, FFTNorm norm = FFTNorm::Backward,
            StreamOrDevice s = {});
array irfft(const array& a, int axis = -1, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array rfft2(const array& a, const Shape& n, const std::vector<int>& axes,
            FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array rfft2(const array& a, const std::vector<int>& axes = {-2, -1},
            FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array irfft2(const array& a, const Shape& n, const std::vector<int>& axes,
             FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array irfft2(const array& a, const std::vector<int>& axes = {-2, -1},
             FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});

/** The frequencies that the numbers of a transform of length n stand for, at sample distance d. */
array fftfreq(int n, double d = 1.0, StreamOrDevice s = {});
array rfftfreq(int n, double d = 1.0, StreamOrDevice s = {});

/** Rolls the zero frequency to the middle of the axes (all by default), and back. */
array fftshift(const array& a, StreamOrDevice s = {});
array fftshift(const array& a, const std::vector<int>& axes, StreamOrDevice s = {});
array ifftshift(const array& a, StreamOrDevice s = {});
array ifftshift(const array& a, const std::vector<int>& axes, StreamOrDevice s = {});

/**
 * Short-time transforms: (…, L) to (…, frequencies, frames). Frames of n_fft samples lie
 * `hop_length` (n_fft / 4) apart and are multiplied by the window (ones of `win_length`), which is
 * centred in them; `center` first extends the signal by n_fft / 2 on both sides ("reflect",
 * "constant" or "edge"). `onesided` is true by default for real signals. The inverse adds up
 * overlapping frames and divides by the sum of squared windows.
 */
array stft(const array& x, int n_fft = 2048, const std::optional<int>& hop_length = std::nullopt,
           const std::optional<int>& win_length = std::nullopt,
           const std::optional<array>& window = std::nullopt, bool center = true,
           const std::string& pad_mode = "reflect", FFTNorm norm = FFTNorm::Backward,
           const std::optional<bool>& onesided = std::nullopt, StreamOrDevice s = {});
array istft(const array& stft_matrix, const std::optional<int>& n_fft = std::nullopt,
            const std::optional<int>& hop_length = std::nullopt,
            const std::optional<int>& win_length = std::nullopt,
            const std::optional<array>& window = std::nullopt, bool center = true,
            FFTNorm norm = FFTNorm::Backward, const std::optional<bool>& onesided = std::nullopt,
            const std::optional<int>& length = std::nullopt, StreamOrDevice s = {});

}  // namespace mlx::core::fft
