// Nodes of linear algebra: factorisations and solvers of the matrices in the last two axes. The
// axes before them are a batch, the same for all inputs, so vmap adds an axis to it.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "mlx/primitives/described.h"

namespace mlx::core {

/** What these nodes share: a derivative rule said once, as what tangents become. */
class MatrixPrimitive : public BuiltinPrimitive {
 public:
  using BuiltinPrimitive::BuiltinPrimitive;
  using Outputs = std::vector<std::pair<Shape, Dtype>>;

  /** Where a node is differentiated: inputs and outputs, and how the inputs `argnums` change. */
  struct Differential {
    const Arrays &primals, &outputs, &tangents;
    const Ints& argnums;
  };

  /** Shapes and dtypes of the outputs. */
  virtual Outputs outputs_for(const Arrays& inputs) const = 0;
  /** The same function of other inputs. */
  virtual Arrays apply(const Arrays& inputs) const = 0;
  /**
   * The outputs' tangents. Linear in the inputs', and written with public ops on the default
   * stream: vjp is its transpose, and both can be differentiated again. Solvers, which the rules
   * are made of, say their transpose themselves.
   */
  virtual Arrays push(const Differential& d) const = 0;

  static Arrays make(const std::shared_ptr<MatrixPrimitive>& node, const Arrays& inputs);

  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  std::vector<Shape> output_shapes(const Arrays& inputs) override;
};

/** Base of the node `Self`, which lists its parameters. */
template <typename Self>
class MatrixNode : public Described<Self, MatrixPrimitive> {
 public:
  using Described<Self, MatrixPrimitive>::Described;

  std::vector<array> apply(const std::vector<array>& inputs) const override {
    auto node = std::apply(
        [&](const auto&... field) { return std::make_shared<Self>(this->stream(), field...); },
        static_cast<const Self*>(this)->fields());
    return MatrixPrimitive::make(node, inputs);
  }
};

/** A (…, n, n), of which the lower triangle is read -> L with A = L L^H; `upper`: U = L^H of the
 *  upper triangle. */
class Cholesky : public MatrixNode<Cholesky> {
 public:
  Cholesky(Stream stream, bool upper) : MatrixNode(stream), upper_(upper) {}
  Outputs outputs_for(const Arrays& inputs) const override;
  Arrays push(const Differential& d) const override;
  const char* name() const override { return "Cholesky"; }
  auto fields() const { return std::tie(upper_); }
  bool upper() const { return upper_; }

 private:
  bool upper_;
};

/** A (…, n, n) triangular (the other triangle is not read), B (…, n, k) -> X with A X = B. */
class TriangularSolve : public MatrixNode<TriangularSolve> {
 public:
  TriangularSolve(Stream stream, bool upper, bool unit)
      : MatrixNode(stream), upper_(upper), unit_(unit) {}
  Outputs outputs_for(const Arrays& inputs) const override;
  Arrays push(const Differential& d) const override;
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  const char* name() const override { return "TriangularSolve"; }
  auto fields() const { return std::tie(upper_, unit_); }
  bool upper() const { return upper_; }
  /** The diagonal counts as ones and is not read. */
  bool unit() const { return unit_; }

 private:
  /** The triangle of a derivative that the node reads. */
  array read_part(const array& a) const;

  bool upper_, unit_;
};

/** A (…, n, n), B (…, n, k) -> X with A X = B. */
class Solve : public MatrixNode<Solve> {
 public:
  using MatrixNode::MatrixNode;
  Outputs outputs_for(const Arrays& inputs) const override;
  Arrays push(const Differential& d) const override;
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  const char* name() const override { return "Solve"; }
  auto fields() const { return std::tie(); }
};

/** A (…, n, n) -> its inverse. */
class Inverse : public MatrixNode<Inverse> {
 public:
  using MatrixNode::MatrixNode;
  Outputs outputs_for(const Arrays& inputs) const override;
  Arrays push(const Differential& d) const override;
  const char* name() const override { return "Inverse"; }
  auto fields() const { return std::tie(); }
};

/**
 * A (…, m, n) -> L and U in one matrix, the unit diagonal of L left out; pivots (…, k) uint32, the
 * row that row i was exchanged with; rows (…, m) uint32, row i of L U is row rows[i] of A. Here and
 * below k = min(m, n).
 */
class LU : public MatrixNode<LU> {
 public:
  using MatrixNode::MatrixNode;
  Outputs outputs_for(const Arrays& inputs) const override;
  Arrays push(const Differential& d) const override;
  const char* name() const override { return "LU"; }
  auto fields() const { return std::tie(); }
};

/** A (…, m, n) -> Q (…, m, k) with orthonormal columns, R (…, k, n) upper triangular. */
class QR : public MatrixNode<QR> {
 public:
  using MatrixNode::MatrixNode;
  Outputs outputs_for(const Arrays& inputs) const override;
  Arrays push(const Differential& d) const override;
  const char* name() const override { return "QR"; }
  auto fields() const { return std::tie(); }
};

/** A (…, m, n) -> U, S (…, k) descending, V^H; or S alone. */
class SVD : public MatrixNode<SVD> {
 public:
  enum class Vectors {
    none,
    reduced,  // U (…, m, k), V^H (…, k, n)
    full,     // U (…, m, m), V^H (…, n, n)
  };
  SVD(Stream stream, Vectors vectors) : MatrixNode(stream), vectors_(vectors) {}
  Outputs outputs_for(const Arrays& inputs) const override;
  Arrays push(const Differential& d) const override;
  const char* name() const override { return "SVD"; }
  auto fields() const { return std::tie(vectors_); }
  Vectors vectors() const { return vectors_; }

 private:
  Vectors vectors_;
};

/** Hermitian A (…, n, n), of which one triangle is read -> eigenvalues (…, n) ascending, and with
 *  `vectors` eigenvectors in the columns of (…, n, n). */
class Eigh : public MatrixNode<Eigh> {
 public:
  Eigh(Stream stream, bool upper, bool vectors)
      : MatrixNode(stream), upper_(upper), vectors_(vectors) {}
  Outputs outputs_for(const Arrays& inputs) const override;
  Arrays push(const Differential& d) const override;
  const char* name() const override { return "Eigh"; }
  auto fields() const { return std::tie(upper_, vectors_); }
  bool upper() const { return upper_; }
  bool vectors() const { return vectors_; }

 private:
  bool upper_, vectors_;
};

/** A (…, n, n) -> eigenvalues (…, n), and with `vectors` right eigenvectors of length 1 in the
 *  columns of (…, n, n); complex64. */
class Eig : public MatrixNode<Eig> {
 public:
  Eig(Stream stream, bool vectors) : MatrixNode(stream), vectors_(vectors) {}
  Outputs outputs_for(const Arrays& inputs) const override;
  Arrays push(const Differential& d) const override;
  const char* name() const override { return "Eig"; }
  auto fields() const { return std::tie(vectors_); }
  bool vectors() const { return vectors_; }

 private:
  bool vectors_;
};

}  // namespace mlx::core
