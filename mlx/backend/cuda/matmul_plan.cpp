// Products by cuBLASLt, but those of integers. It knows columns first, so the product is handed
// over transposed: out' = b' a'.
#include "mlx/backend/cuda/matmul_plan.h"

#include <array>
#include <map>
#include <memory>
#include <mutex>

#include "mlx/backend/cuda/matmul_library.h"
#include "mlx/backend/cuda/product.h"
#include "mlx/backend/cuda/runtime/allocator.h"
#include "mlx/backend/cuda/runtime/shared_library.h"
#include "mlx/backend/cuda/runtime/streams.h"
#include "mlx/backend/cuda/vector_product.h"
#include "mlx/core/errors.h"
#include "mlx/utils.h"

namespace mlx::core::cuda {

namespace {

constexpr size_t workspace_bytes = size_t{32} << 20;
constexpr size_t most_plans = 4096;

const MatmulLibrary& library() { return MatmulLibrary::instance(); }

void check_cublas(cublasStatus_t said, const char* what) {
  cublasStatus_t code = or_fault(said, CUBLAS_STATUS_INTERNAL_ERROR);
  if (code != CUBLAS_STATUS_SUCCESS) {
    throw std::runtime_error(error_message(OpScope::current(), "cuBLASLt failed while ", what, ": ",
                                           library().status_string(code), "."));
  }
}

cublasLtHandle_t handle() {
  static cublasLtHandle_t opened = [] {
    cublasLtHandle_t made;
    check_cublas(library().create(&made), "starting");
    return made;
  }();
  return opened;
}

struct Types {
  cudaDataType_t data, scale;
  cublasComputeType_t compute;
};

/** float32 is float32 unless the user asks for less. */
cublasComputeType_t float_compute() {
  return env::enable_tf32() ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
}

Types types_of(Dtype dtype) {
  switch (dtype.val()) {
    case Dtype::Val::float32:
      return {CUDA_R_32F, CUDA_R_32F, float_compute()};
    case Dtype::Val::float16:
      return {CUDA_R_16F, CUDA_R_32F, CUBLAS_COMPUTE_32F};
    case Dtype::Val::bfloat16:
      return {CUDA_R_16BF, CUDA_R_32F, CUBLAS_COMPUTE_32F};
    case Dtype::Val::float64:
      return {CUDA_R_64F, CUDA_R_64F, CUBLAS_COMPUTE_64F};
    case Dtype::Val::complex64:
      return {CUDA_C_32F, CUDA_C_32F, float_compute()};
    case Dtype::Val::complex128:
      return {CUDA_C_64F, CUDA_C_64F, CUBLAS_COMPUTE_64F};
    default:
      internal_check(false,
                     "cuBLASLt was asked for a product of " + std::string(dtype_name(dtype)));
  }
}

/** The largest power of two up to 16 that divides the address. */
uint32_t alignment(const void* address) {
  auto bits = reinterpret_cast<uint64_t>(address) | 16;
  return static_cast<uint32_t>(bits & (~bits + 1));
}

using Key = std::array<int64_t, 21>;

Key key_of(const Product& p) {
  return {static_cast<int64_t>(p.dtype.val()),
          p.m,
          p.n,
          p.k,
          p.batch,
          p.a.transposed,
          p.a.stride,
          p.a.batch_stride,
          p.b.transposed,
          p.b.stride,
          p.b.batch_stride,
          p.out_batch_stride,
          p.bias != nullptr,
          p.beta != 0,
          p.rectified,
          static_cast<int64_t>(p.summed),
          alignment(p.a.data),
          alignment(p.b.data),
          alignment(p.out),
          alignment(p.bias),
          alignment(p.sums)};
}

/** Descriptors of one form of product with its algorithm. Queued work does not need them. */
struct Plan {
  cublasLtMatmulDesc_t product = nullptr;
  cublasLtMatrixLayout_t a = nullptr, b = nullptr, out = nullptr;
  cublasLtMatmulAlgo_t algorithm{};
  bool complete = true;  // with all that comes with the product
  const uint64_t number = new_call_number();

  Plan() = default;
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;
  ~Plan() {
    library().destroy_product(product);
    for (auto matrix : {a, b, out}) {
      library().destroy_layout(matrix);
    }
  }
};

template <typename T>
void set(cublasLtMatmulDesc_t description, cublasLtMatmulDescAttributes_t name, const T& value) {
  check_cublas(library().set_product(description, name, &value, sizeof(value)),
               "describing a product");
}

cublasLtMatrixLayout_t layout(cudaDataType_t type, int64_t rows, int64_t columns, int64_t stride,
                              int64_t batch, int64_t batch_stride) {
  cublasLtMatrixLayout_t made;
  check_cublas(library().create_layout(&made, type, static_cast<uint64_t>(rows),
                                       static_cast<uint64_t>(columns), stride),
               "describing a matrix");
  auto count = static_cast<int32_t>(batch);
  library().set_layout(made, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof(count));
  library().set_layout(made, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &batch_stride,
                       sizeof(batch_stride));
  return made;
}

/** An operand as its transpose, columns first: the rows of the matrix are its columns. */
cublasLtMatrixLayout_t operand_layout(const MatrixOperand& x, cudaDataType_t type, int64_t rows,
                                      int64_t columns, int64_t batch) {
  return x.transposed ? layout(type, rows, columns, x.stride, batch, x.batch_stride)
                      : layout(type, columns, rows, x.stride, batch, x.batch_stride);
}

/** Returns false if there is none. */
bool choose_algorithm(Plan& plan, const Product& p) {
  cublasLtMatmulPreference_t preference;
  check_cublas(library().create_preference(&preference), "choosing an algorithm");
  auto prefer = [&](cublasLtMatmulPreferenceAttributes_t name, auto value) {
    library().set_preference(preference, name, &value, sizeof(value));
  };
  prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspace_bytes);
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment(p.b.data));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment(p.a.data));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment(p.out));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment(p.out));
  cublasLtMatmulHeuristicResult_t found{};
  int count = 0;
  auto code = library().choose_algorithm(handle(), plan.product, plan.b, plan.a, plan.out, plan.out,
                                         preference, 1, &found, &count);
  library().destroy_preference(preference);
  if (code != CUBLAS_STATUS_NOT_SUPPORTED && code != CUBLAS_STATUS_INVALID_VALUE) {
    check_cublas(code, "choosing an algorithm");
  }
  plan.algorithm = found.algo;
  return code == CUBLAS_STATUS_SUCCESS && count > 0;
}

/** Of the transposed product, whose first operand is b'. */
cublasLtEpilogue_t epilogue_of(bool bias, bool rectified, Summed summed) {
  if (summed != Summed::none) {
    return summed == Summed::b ? CUBLASLT_EPILOGUE_BGRADA : CUBLASLT_EPILOGUE_BGRADB;
  }
  if (bias) {
    return rectified ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_BIAS;
  }
  return rectified ? CUBLASLT_EPILOGUE_RELU : CUBLASLT_EPILOGUE_DEFAULT;
}

/** The library has one pointer for what is added to each row and for the sums that it makes. */
void set_row(const Plan& plan, const Product& p) {
  const void* row = p.summed == Summed::none ? p.bias : p.sums;
  if (row) set(plan.product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, row);
}

void make_plan(Plan& plan, const Product& p) {
  Types types = types_of(p.dtype);
  check_cublas(library().create_product(&plan.product, types.compute, types.scale),
               "describing a product");
  // The first operand of the transposed product is b'.
  set(plan.product, CUBLASLT_MATMUL_DESC_TRANSA, p.b.transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(plan.product, CUBLASLT_MATMUL_DESC_TRANSB, p.a.transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(plan.product, CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue_of(p.bias, p.rectified, p.summed));
  set_row(plan, p);
  plan.a = operand_layout(p.a, types.data, p.m, p.k, p.batch);
  plan.b = operand_layout(p.b, types.data, p.k, p.n, p.batch);
  plan.out = layout(types.data, p.n, p.m, p.n, p.batch, p.out_batch_stride);
  if (choose_algorithm(plan, p)) {
    return;
  }
  plan.complete = !p.rectified && p.summed == Summed::none;
  set(plan.product, CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue_of(p.bias, false, Summed::none));
  bool found = !plan.complete && choose_algorithm(plan, p);
  check_cublas(found ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED,
               "choosing an algorithm");
}

/** Plans are shared by all threads, and the row of one is set for each call. */
std::mutex& plans_mutex() {
  static auto* mutex = new std::mutex;
  return *mutex;
}

/** The plan for such a product. A full store is emptied. */
const Plan& kept_plan(const Product& p) {
  static auto* plans = new std::map<Key, std::unique_ptr<Plan>>;
  Key key = key_of(p);
  auto it = plans->find(key);
  if (it == plans->end()) {
    if (plans->size() >= most_plans) {
      plans->clear();
    }
    auto plan = std::make_unique<Plan>();
    make_plan(*plan, p);
    it = plans->emplace(key, std::move(plan)).first;
  }
  return *it->second;
}

LibraryCall call_of(const Plan& plan, const Product& p, void* workspace) {
  LibraryCall call(plan.number);
  call.add(p.a.data).add(p.b.data).add(p.out).add(p.bias).add(p.sums).add(workspace);
  return call.add(p.alpha).add(p.beta).takes_long();
}

}  // namespace

bool run_product(const Product& p, const Stream& s) {
  if (!issubdtype(p.dtype, inexact)) {
    multiply_in_tiles(p, {}, s);
    return !p.rectified;
  }
  if (p.summed == Summed::none && run_vector_products({&p, 1}, s)) {
    return true;
  }
  use_device(s.device.index);
  Scratch workspace(workspace_bytes, s);
  std::lock_guard lock(plans_mutex());
  const Plan& plan = kept_plan(p);
  set_row(plan, p);
  double wide[2][2] = {{p.alpha, 0}, {p.beta, 0}};
  float single[2][2] = {{p.alpha, 0}, {p.beta, 0}};
  bool is_wide = real_dtype(p.dtype) == float64;
  const void* alpha = is_wide ? static_cast<const void*>(wide[0]) : single[0];
  const void* beta = is_wide ? static_cast<const void*>(wide[1]) : single[1];
  enqueue(s, call_of(plan, p, workspace.get()), [&](cudaStream_t stream) {
    check_cublas(library().matmul(handle(), plan.product, alpha, p.b.data, plan.b, p.a.data, plan.a,
                                  beta, p.out, plan.out, p.out, plan.out, &plan.algorithm,
                                  workspace.get(), workspace_bytes, stream),
                 "multiplying");
  });
  return plan.complete;
}

bool is_complete(const Product& p, const Stream& s) {
  use_device(s.device.index);
  std::lock_guard lock(plans_mutex());
  return kept_plan(p).complete;
}

int64_t library_version() { return static_cast<int64_t>(library().version()); }

}  // namespace mlx::core::cuda
