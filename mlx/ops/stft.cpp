// Short-time Fourier transforms: overlapping frames of a signal, windowed and transformed.
#include <algorithm>
#include <numeric>

#include "mlx/core/errors.h"
#include "mlx/fft.h"
#include "mlx/ops.h"

namespace mlx::core::fft {

namespace {

struct Framing {
  int n_fft;
  int hop;
  array window;  // n_fft values
};

/** Complex numbers and float64 as they are, others as float32. */
array at_least_single(const array& x, StreamOrDevice s) {
  return is_complex_dtype(x.dtype()) || x.dtype() == float64 ? x : astype(x, float32, s);
}

Framing check_framing(const char* op, int n_fft, const std::optional<int>& hop_length,
                      const std::optional<int>& win_length, const std::optional<array>& window,
                      StreamOrDevice s) {
  check(n_fft > 0, op, "n_fft must be positive, not ", n_fft, ".");
  int hop = hop_length.value_or(std::max(1, n_fft / 4));
  check(hop > 0, op, "hop_length must be positive, not ", hop, ".");
  check(!window || window->ndim() == 1, op, "The window must be a one-dimensional array.");
  int length = window ? window->shape(0) : win_length.value_or(n_fft);
  check(length > 0 && length <= n_fft, op, "The window length ", length,
        " must be positive and must not exceed n_fft ", n_fft, ".");
  array values = window ? *window : ones({length}, float32, s);
  values = at_least_single(values, s);
  int left = (n_fft - length) / 2;
  if (length < n_fft) {
    values =
        pad(values, {0}, {left}, {n_fft - length - left}, array(0, values.dtype()), "constant", s);
  }
  return {n_fft, hop, values};
}

/** Extends the last axis by `width` on both sides with the signal mirrored at its ends. */
array reflect(const array& x, int width, StreamOrDevice s) {
  int64_t last = x.shape(-1) - 1;
  std::vector<int> positions;
  for (int64_t i = -width; i <= last + width; i++) {
    int64_t period = std::max<int64_t>(1, 2 * last);
    int64_t p = (i % period + period) % period;
    positions.push_back(static_cast<int>(std::min(p, 2 * last - p)));
  }
  return take(x, array(positions.begin(), {static_cast<int>(positions.size())}, int32), -1, s);
}

array extend(const array& x, int width, const std::string& mode, StreamOrDevice s) {
  if (mode == "reflect") {
    return reflect(x, width, s);
  }
  return pad(x, {-1}, {width}, {width}, array(0, x.dtype()), mode, s);
}

/** (…, L) to (…, frames, n) without a copy. */
array frame(const array& x, int n, int hop, StreamOrDevice s) {
  int length = x.shape(-1);
  int count = 1 + (length - n) / hop;
  array flat = reshape(x, {-1, length}, s);
  array frames = as_strided(flat, {flat.shape(0), count, n}, {length, hop, 1}, 0, s);
  Shape shape(x.shape().begin(), x.shape().end() - 1);
  shape.push_back(count);
  shape.push_back(n);
  return reshape(frames, shape, s);
}

/** (…, frames, n) to (…, L): the sum of all frames at their places. Adds whole signals, one for
 *  each of the ceil(n / hop) frames that overlap. */
array overlap_add(const array& frames, int hop, StreamOrDevice s) {
  int count = frames.shape(-2), n = frames.shape(-1);
  int pieces = (n + hop - 1) / hop;
  Shape lead(frames.shape().begin(), frames.shape().end() - 2);
  array padded =
      pad(frames, {-1}, {0}, {pieces * hop - n}, array(0, frames.dtype()), "constant", s);
  Shape start(frames.ndim(), 0), stop = padded.shape(), signal = lead;
  signal.push_back(count * hop);
  array out = zeros({}, frames.dtype(), s);
  for (int p = 0; p < pieces; p++) {
    start.back() = p * hop;
    stop.back() = (p + 1) * hop;
    array piece = reshape(slice(padded, start, stop, s), signal, s);
    out = add(out,
              pad(piece, {-1}, {p * hop}, {(pieces - 1 - p) * hop}, array(0, frames.dtype()),
                  "constant", s),
              s);
  }
  Shape first(out.ndim(), 0), last = out.shape();
  last.back() = (count - 1) * hop + n;
  return slice(out, first, last, s);
}

/** Elements [begin, begin + length) of the last axis, zeros past its end. */
array crop(const array& x, int begin, int length, StreamOrDevice s) {
  Shape start(x.ndim(), 0), stop = x.shape();
  start.back() = std::min(begin, x.shape(-1));
  stop.back() = static_cast<int>(std::min<int64_t>(int64_t{begin} + length, x.shape(-1)));
  stop.back() = std::max(stop.back(), start.back());
  array out = slice(x, start, stop, s);
  int missing = length - out.shape(-1);
  return missing > 0 ? pad(out, {-1}, {0}, {missing}, array(0, x.dtype()), "constant", s) : out;
}

}  // namespace

array stft(const array& x, int n_fft, const std::optional<int>& hop_length,
           const std::optional<int>& win_length, const std::optional<array>& window, bool center,
           const std::string& pad_mode, FFTNorm norm, const std::optional<bool>& onesided,
           StreamOrDevice s) {
  check(x.ndim() > 0, "stft", "The input must have at least one dimension.");
  Framing f = check_framing("stft", n_fft, hop_length, win_length, window, s);
  array signal = at_least_single(x, s);
  if (center) {
    check(x.shape(-1) > 0, "stft", "Cannot extend an input of shape ", x.shape(), ".");
    signal = extend(signal, n_fft / 2, pad_mode, s);
  }
  check(signal.shape(-1) >= n_fft, "stft", "The input of shape ", x.shape(),
        " is too short for n_fft ", n_fft, ".");
  array frames = multiply(frame(signal, n_fft, f.hop, s), f.window, s);
  bool complex_input = is_complex_dtype(frames.dtype());
  check(!complex_input || !onesided.value_or(false), "stft",
        "Complex inputs have no one-sided transform.");
  bool half = onesided.value_or(!complex_input);
  array out = half ? rfft(frames, -1, norm, s) : fft(frames, -1, norm, s);
  return swapaxes(out, -1, -2, s);
}

array istft(const array& stft_matrix, const std::optional<int>& n_fft,
            const std::optional<int>& hop_length, const std::optional<int>& win_length,
            const std::optional<array>& window, bool center, FFTNorm norm,
            const std::optional<bool>& onesided, const std::optional<int>& length,
            StreamOrDevice s) {
  check(stft_matrix.ndim() > 1, "istft",
        "The input must have at least two dimensions (frequency, frames), not shape ",
        stft_matrix.shape(), ".");
  check(stft_matrix.shape(-1) > 0 && stft_matrix.shape(-2) > 0, "istft", "The input of shape ",
        stft_matrix.shape(), " is empty.");
  check(length.value_or(0) >= 0, "istft", "length must not be negative, as ", length.value_or(0),
        " is.");
  bool half = onesided.value_or(true);
  int bins = stft_matrix.shape(-2);
  int n = n_fft.value_or(half ? 2 * (bins - 1) : bins);
  Framing f = check_framing("istft", n, hop_length, win_length, window, s);

  array spectra = swapaxes(stft_matrix, -1, -2, s);
  array frames = half ? irfft(spectra, n, -1, norm, s) : real(ifft(spectra, n, -1, norm, s), s);
  array signal = overlap_add(multiply(frames, f.window, s), f.hop, s);
  Shape weights{frames.shape(-2), n};
  array norms = overlap_add(broadcast_to(square(f.window, s), weights, s), f.hop, s);
  signal = divide(signal, maximum(norms, array(1e-10f), s), s);

  int begin = center ? n / 2 : 0;
  int kept = std::max(0, signal.shape(-1) - 2 * begin);
  return crop(signal, begin, length.value_or(kept), s);
}

}  // namespace mlx::core::fft
