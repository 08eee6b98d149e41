// A primitive is what a node of the graph does: how it runs on each device and how transforms see
// it.
#pragma once

#include <string>
#include <string_view>
#include <typeinfo>
#include <utility>
#include <vector>

#include "mlx/array.h"
#include "mlx/device.h"
#include "mlx/stream.h"

namespace mlx::core {

class FallbackPrimitive;
class FieldVisitor;

class Primitive {
 public:
  explicit Primitive(Stream stream) : stream_(stream) {}
  virtual ~Primitive() = default;
  Primitive(const Primitive&) = delete;
  Primitive(Primitive&&) = delete;
  Primitive& operator=(const Primitive&) = delete;
  Primitive& operator=(Primitive&&) = delete;

  const Device& device() { return stream_.device; }
  const Stream& stream() { return stream_; }
  Stream stream() const { return stream_; }

  /**
   * Computes `outputs` from evaluated `inputs` before it returns. Sets the data of each output
   * (`array::set_data`, `array::copy_shared_buffer`); makes no graph and evaluates nothing.
   */
  virtual void eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) = 0;
  virtual void eval_gpu(const std::vector<array>& inputs, std::vector<array>& outputs) = 0;

  /** The outputs' derivative along `tangents`, one for each of `argnums`. */
  virtual std::vector<array> jvp(const std::vector<array>& primals,
                                 const std::vector<array>& tangents,
                                 const std::vector<int>& argnums);

  /** What `cotangents` of the outputs are for each input in `argnums`. */
  virtual std::vector<array> vjp(const std::vector<array>& primals,
                                 const std::vector<array>& cotangents,
                                 const std::vector<int>& argnums,
                                 const std::vector<array>& outputs);

  /** The outputs for inputs with a batch axis at `axes` (-1: none), and the outputs' batch axes. */
  virtual std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                               const std::vector<int>& axes);

  virtual const char* name() const = 0;

  /** Whether the other one computes the same from the same inputs: same type and parameters. */
  virtual bool is_equivalent(const Primitive& /* other */) const { return false; }

  /** Equal for equivalent primitives. */
  virtual size_t hash() const;

  /** Shows the parameters in their order; nothing where they are not known. */
  virtual void visit_fields(FieldVisitor& /* visitor */) const {}

  /** What a backend finds its code for this type by; 0 for a primitive that brings its own. */
  virtual size_t type_number() const { return 0; }

  /** Derivatives flow through the first so many inputs only. */
  virtual size_t differentiable_inputs(size_t inputs) const { return inputs; }

  /** Whether integers among the inputs are positions, with respect to which there is no derivative.
   */
  virtual bool takes_positions() const { return false; }

  /** The primitive as one that plain ops can stand for, or nullptr. */
  virtual const FallbackPrimitive* plain_form() const { return nullptr; }

  /** The outputs' shapes for other inputs, for shapeless compile and export. */
  virtual std::vector<Shape> output_shapes(const std::vector<array>& inputs);

 private:
  Stream stream_;
};

/** A primitive with one output. */
class UnaryPrimitive : public Primitive {
 public:
  explicit UnaryPrimitive(Stream stream) : Primitive(stream) {}

  virtual void eval_cpu(const std::vector<array>& inputs, array& output) = 0;
  virtual void eval_gpu(const std::vector<array>& inputs, array& output) = 0;

  void eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) override {
    eval_cpu(inputs, outputs[0]);
  }
  void eval_gpu(const std::vector<array>& inputs, std::vector<array>& outputs) override {
    eval_gpu(inputs, outputs[0]);
  }
};

/** A primitive of this library: each backend finds its own code for it by the primitive's type. */
class BuiltinPrimitive : public Primitive {
 public:
  using Primitive::Primitive;
  using Arrays = std::vector<array>;
  using Ints = std::vector<int>;
  using Mapped = std::pair<Arrays, Ints>;  // outputs and their batch axes

  void eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) override;
  void eval_gpu(const std::vector<array>& inputs, std::vector<array>& outputs) final;

  /** Views only rearrange shape and strides of their input, so they run the same everywhere. */
  virtual bool is_view() const { return false; }

  size_t type_number() const override;
};

namespace detail {

/** A small number of its own for every type, from 1. */
size_t type_number(const std::type_info& type);

}  // namespace detail

enum class QuantizationMode { Affine, Mxfp4, Mxfp8, Nvfp4 };

std::string quantization_mode_to_string(QuantizationMode mode);
QuantizationMode string_to_quantization_mode(const std::string& mode,
                                             std::string_view error_tag = "");

}  // namespace mlx::core
