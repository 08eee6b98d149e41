// Fourier transforms, mlx.core.fft.
#include "mlx/fft.h"

#include "mlx/core/errors.h"
#include "python/src/def_op.h"

namespace mlx::python {

namespace {

using fft::FFTNorm;

FFTNorm parse_norm(const std::optional<std::string>& norm) {
  if (!norm || *norm == "backward") {
    return FFTNorm::Backward;
  }
  if (*norm == "ortho") {
    return FFTNorm::Ortho;
  }
  check(*norm == "forward", "fft", "Unknown norm '", *norm,
        "', expected 'backward', 'ortho' or 'forward'.");
  return FFTNorm::Forward;
}

using Sized1 = array (*)(const array&, int, int, FFTNorm, StreamOrDevice);
using Plain1 = array (*)(const array&, int, FFTNorm, StreamOrDevice);

template <Sized1 sized, Plain1 plain>
void def_1d(nb::module_& m, const char* name, const char* doc) {
  m.def(
      name,
      [](const array& a, std::optional<int> n, int axis, const std::optional<std::string>& norm,
         StreamOrDevice s) {
        FFTNorm scale = parse_norm(norm);
        return n ? sized(a, *n, axis, scale, s) : plain(a, axis, scale, s);
      },
      "a"_a, "n"_a = nb::none(), "axis"_a = -1, "norm"_a.none() = "backward",
      "stream"_a = nb::none(), doc);
}

FFTNorm opposite(FFTNorm norm) {
  return norm == FFTNorm::Backward  ? FFTNorm::Forward
         : norm == FFTNorm::Forward ? FFTNorm::Backward
                                    : FFTNorm::Ortho;
}

/** Real spectra of Hermitian signals: the real transforms with signal and spectrum exchanged. */
void bind_hermitian(nb::module_& m) {
  m.def(
      "hfft",
      [](const array& a, std::optional<int> n, int axis, const std::optional<std::string>& norm,
         StreamOrDevice s) {
        FFTNorm scale = opposite(parse_norm(norm));
        array x = conjugate(a, s);
        return n ? fft::irfft(x, *n, axis, scale, s) : fft::irfft(x, axis, scale, s);
      },
      "a"_a, "n"_a = nb::none(), "axis"_a = -1, "norm"_a.none() = "backward",
      "stream"_a = nb::none(),
      "The real spectrum, of n terms, of a signal whose second half mirrors the given first.");
  m.def(
      "ihfft",
      [](const array& a, std::optional<int> n, int axis, const std::optional<std::string>& norm,
         StreamOrDevice s) {
        FFTNorm scale = opposite(parse_norm(norm));
        return conjugate(n ? fft::rfft(a, *n, axis, scale, s) : fft::rfft(a, axis, scale, s), s);
      },
      "a"_a, "n"_a = nb::none(), "axis"_a = -1, "norm"_a.none() = "backward",
      "stream"_a = nb::none(), "The inverse of `hfft`.");
}

using Frequencies = array (*)(int, double, StreamOrDevice);

void def_frequencies(nb::module_& m, const char* name, Frequencies op, const char* doc) {
  m.def(
      name,
      [op](int n, double d, StreamOrDevice s, std::optional<Dtype> dtype, StreamOrDevice device) {
        array out = op(n, d, chosen(device, s));
        return dtype ? astype(out, *dtype, chosen(device, s)) : out;
      },
      "n"_a, "d"_a = 1.0, "stream"_a = nb::none(), nb::kw_only(), "dtype"_a = nb::none(),
      "device"_a = nb::none(), doc);
}

using SizedN = array (*)(const array&, const Shape&, const std::vector<int>&, FFTNorm,
                         StreamOrDevice);
using PlainN = array (*)(const array&, const std::vector<int>&, FFTNorm, StreamOrDevice);
using AllN = array (*)(const array&, FFTNorm, StreamOrDevice);

template <SizedN sized, PlainN plain>
array call_nd(const array& a, const std::optional<Ints>& sizes, const std::vector<int>& axes,
              FFTNorm norm, StreamOrDevice s) {
  return sizes ? sized(a, sizes->shape(), axes, norm, s) : plain(a, axes, norm, s);
}

template <SizedN sized, PlainN plain, AllN all>
void def_nd(nb::module_& m, const char* name, const char* doc) {
  m.def(
      name,
      [name](const array& a, const std::optional<Ints>& sizes, const std::optional<Ints>& axes,
             const std::optional<std::string>& norm, StreamOrDevice s) {
        check(axes || !sizes, name, "Sizes need axes.");
        FFTNorm scale = parse_norm(norm);
        return axes ? call_nd<sized, plain>(a, sizes, axes->values, scale, s) : all(a, scale, s);
      },
      "a"_a, "s"_a = nb::none(), "axes"_a = nb::none(), "norm"_a.none() = "backward",
      "stream"_a = nb::none(), doc);
}

template <SizedN sized, PlainN plain>
void def_2d(nb::module_& m, const char* name, const char* doc) {
  m.def(
      name,
      [](const array& a, const std::optional<Ints>& sizes, const std::optional<Ints>& axes,
         const std::optional<std::string>& norm, StreamOrDevice s) {
        return call_nd<sized, plain>(a, sizes, axes ? axes->values : std::vector<int>{-2, -1},
                                     parse_norm(norm), s);
      },
      "a"_a, "s"_a = nb::none(), "axes"_a.none() = nb::make_tuple(-2, -1),
      "norm"_a.none() = "backward", "stream"_a = nb::none(), doc);
}

using ShiftAll = array (*)(const array&, StreamOrDevice);
using ShiftSome = array (*)(const array&, const std::vector<int>&, StreamOrDevice);

template <ShiftAll all, ShiftSome some>
void def_shift(nb::module_& m, const char* name, const char* doc) {
  m.def(
      name,
      [](const array& a, const Axes& axes, StreamOrDevice s) {
        return axes.all() ? all(a, s) : some(a, axes.values, s);
      },
      "a"_a, "axes"_a = nb::none(), "stream"_a = nb::none(), doc);
}

void bind_frames(nb::module_& m) {
  m.def(
      "stft",
      [](const array& x, int n_fft, std::optional<int> hop_length, std::optional<int> win_length,
         const std::optional<array>& window, bool center, const std::string& pad_mode,
         const std::optional<std::string>& norm, std::optional<bool> onesided, StreamOrDevice s) {
        return fft::stft(x, n_fft, hop_length, win_length, window, center, pad_mode,
                         parse_norm(norm), onesided, s);
      },
      "x"_a, "n_fft"_a = 2048, "hop_length"_a = nb::none(), "win_length"_a = nb::none(),
      "window"_a = nb::none(), "center"_a = true, "pad_mode"_a = "reflect",
      "norm"_a.none() = "backward", "onesided"_a = nb::none(), "stream"_a = nb::none(),
      "The transforms of overlapping windowed frames of a signal.");
  m.def(
      "istft",
      [](const array& x, std::optional<int> n_fft, std::optional<int> hop_length,
         std::optional<int> win_length, const std::optional<array>& window, bool center,
         const std::optional<std::string>& norm, std::optional<bool> onesided,
         std::optional<int> length, StreamOrDevice s) {
        return fft::istft(x, n_fft, hop_length, win_length, window, center, parse_norm(norm),
                          onesided, length, s);
      },
      "stft_matrix"_a, "n_fft"_a = nb::none(), "hop_length"_a = nb::none(),
      "win_length"_a = nb::none(), "window"_a = nb::none(), "center"_a = true,
      "norm"_a.none() = "backward", "onesided"_a = nb::none(), "length"_a = nb::none(),
      "stream"_a = nb::none(), "The signal whose `stft` this is.");
}

}  // namespace

void bind_fft(nb::module_& parent) {
  auto m = parent.def_submodule("fft", "Discrete Fourier transforms.");
  def_1d<fft::fft, fft::fft>(m, "fft", "The transform along an axis, cut or zero-padded to n.");
  def_1d<fft::ifft, fft::ifft>(m, "ifft", "The inverse of `fft`.");
  def_1d<fft::rfft, fft::rfft>(m, "rfft", "The first n // 2 + 1 terms for real input.");
  def_1d<fft::irfft, fft::irfft>(m, "irfft", "The inverse of `rfft`, of n real numbers.");
  def_2d<fft::fft2, fft::fft2>(m, "fft2", "The transform over two axes.");
  def_2d<fft::ifft2, fft::ifft2>(m, "ifft2", "The inverse of `fft2`.");
  def_2d<fft::rfft2, fft::rfft2>(m, "rfft2", "`fft2` of real input, half of the last axis.");
  def_2d<fft::irfft2, fft::irfft2>(m, "irfft2", "The inverse of `rfft2`.");
  def_nd<fft::fftn, fft::fftn, fft::fftn>(m, "fftn", "The transform over several axes.");
  def_nd<fft::ifftn, fft::ifftn, fft::ifftn>(m, "ifftn", "The inverse of `fftn`.");
  def_nd<fft::rfftn, fft::rfftn, fft::rfftn>(m, "rfftn",
                                             "`fftn` of real input, half of the last axis.");
  def_nd<fft::irfftn, fft::irfftn, fft::irfftn>(m, "irfftn", "The inverse of `rfftn`.");
  def_shift<fft::fftshift, fft::fftshift>(m, "fftshift", "Frequency zero moved to the middle.");
  def_shift<fft::ifftshift, fft::ifftshift>(m, "ifftshift", "The inverse of `fftshift`.");
  def_frequencies(m, "fftfreq", &fft::fftfreq,
                  "The frequencies of the terms of `fft` for samples d apart.");
  def_frequencies(m, "rfftfreq", &fft::rfftfreq,
                  "The frequencies of the terms of `rfft` for samples d apart.");
  bind_hermitian(m);
  bind_frames(m);
}

}  // namespace mlx::python
