// What every binding file starts from: nanobind with this project's casters, and the list of the
// parts that make up the module.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>

#include "mlx/array.h"
#include "mlx/utils.h"
#include "python/src/casters.h"

namespace mlx::python {

namespace nb = nanobind;
using namespace nb::literals;
using namespace mlx::core;

// One function per file of bindings, called by module.cpp in this order.
void bind_errors(nb::module_& m);
void bind_dtype(nb::module_& m);
void bind_device(nb::module_& m);
void bind_device_functions(nb::module_& m);
void bind_stream(nb::module_& m);
nb::class_<array> declare_array(nb::module_& m);
void bind_array(nb::module_& m, nb::class_<array>& cls);
void bind_array_methods(nb::class_<array>& cls);
void bind_operators(nb::class_<array>& cls);
void bind_indexing(nb::module_& m, nb::class_<array>& cls);
void bind_printing(nb::module_& m);
void bind_memory(nb::module_& m);
void bind_profiler(nb::module_& m);
void bind_elementwise(nb::module_& m);
void bind_reduce(nb::module_& m);
void bind_scan(nb::module_& m);
void bind_sort(nb::module_& m);
void bind_shape(nb::module_& m);
void bind_creation(nb::module_& m);
void bind_index_ops(nb::module_& m);
void bind_matmul(nb::module_& m);
void bind_quantized(nb::module_& m);
void bind_conv(nb::module_& m);
void bind_random(nb::module_& m);
void bind_fast(nb::module_& m);
void bind_metal_kernel(nb::module_& fast);
void bind_cuda_kernel(nb::module_& fast);
void bind_fft(nb::module_& m);
void bind_linalg(nb::module_& m);
void bind_load(nb::module_& m);
void bind_export_dot(nb::module_& m);
void bind_export(nb::module_& m);
void bind_control(nb::module_& m);
void bind_transforms(nb::module_& m);
void bind_vmap(nb::module_& m);
void bind_compile(nb::module_& m);
void bind_custom_function(nb::module_& m);
void bind_recurrent(nb::module_& m);
void bind_batch_norm(nb::module_& m);
void bind_pool(nb::module_& m);
void bind_entries(nb::module_& m);
void bind_distributed(nb::module_& m);
void bind_lazy_modules(nb::module_& m);

}  // namespace mlx::python
