// Linear algebra of arrays on the GPU. Decompositions run on the host: their inputs are copied
// there and the results come back at their first use, so the stream is waited for.
#include "mlx/primitives/linalg.h"

#include "mlx/backend/cuda/registry.h"
#include "mlx/backend/cuda/runtime/streams.h"

namespace mlx::core::cuda {

namespace {

template <typename P>
void eval_on_host(P& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  synchronize_stream(primitive.stream());
  primitive.eval_cpu(inputs, outputs);
}

const Register<Cholesky> cholesky(eval_on_host<Cholesky>);
const Register<TriangularSolve> triangular_solve(eval_on_host<TriangularSolve>);
const Register<Solve> solve(eval_on_host<Solve>);
const Register<Inverse> inverse(eval_on_host<Inverse>);
const Register<LU> lu(eval_on_host<LU>);
const Register<QR> qr(eval_on_host<QR>);
const Register<SVD> svd(eval_on_host<SVD>);
const Register<Eigh> eigh(eval_on_host<Eigh>);
const Register<Eig> eig(eval_on_host<Eig>);

}  // namespace

}  // namespace mlx::core::cuda
