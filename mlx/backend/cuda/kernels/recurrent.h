// Steps of recurrent layers. A block keeps its units' part of the weight in shared memory. The
// blocks of a cluster share the units of a layer and go through all steps: after each they write
// what the next one multiplies into each other's shared memory. Without clusters a kernel does one
// step, and what it multiplies comes from memory.
#pragma once

#include "mlx/backend/cuda/kernels/fold.h"
#include "mlx/backend/cuda/kernels/recurrent_call.h"
#include "mlx/kernels/recurrent.h"

namespace mlx::core::kernels {

constexpr int recurrent_threads = 256, recurrent_warps = recurrent_threads / 32;
/** Neighbours that a lane takes at a time, and lanes that share a vector forward. */
constexpr int recurrent_pack = 4, gate_lanes = 8;

enum RecurrentKind { lstm_layer, gru_layer, tanh_layer, relu_layer };

template <int kind>
constexpr int gates_of = kind == lstm_layer  ? 4
                         : kind == gru_layer ? 3
                                             : 1;

// ---- blocks of a cluster

MLX_FN int cluster_blocks() {
  uint32_t count;
  asm("mov.u32 %0, %%cluster_nctarank;" : "=r"(count));
  return static_cast<int>(count);
}

/** All threads of the cluster meet; what they wrote before is seen after. */
MLX_FN void meet_cluster() {
  asm volatile("barrier.cluster.arrive.release;\nbarrier.cluster.wait.acquire;" ::: "memory");
}

/** Writes to the place in another block's shared memory that `to` is in this one's. */
MLX_FN void store_in_block(float* to, int block, float x) {
  uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(to)), remote;
  asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(remote) : "r"(address), "r"(block));
  asm volatile("st.shared::cluster.f32 [%0], %1;" ::"r"(remote), "f"(x) : "memory");
}
MLX_FN void store_in_block(double* to, int block, double x) {
  uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(to)), remote;
  asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(remote) : "r"(address), "r"(block));
  asm volatile("st.shared::cluster.f64 [%0], %1;" ::"r"(remote), "d"(x) : "memory");
}

// ---- shared memory: the weight's vectors, then two sets of what they multiply

template <typename T, int R>
struct RecurrentMemory {
  using C = Computed<T>;
  C* states;  // [turn][row][stride]
  T* weight;  // [vector][stride]
  int64_t stride;

  MLX_FN RecurrentMemory(const RecurrentCall& p, void* shared)
      : states(static_cast<C*>(shared)),
        weight(reinterpret_cast<T*>(states + 2 * R * p.stride)),
        stride(p.stride) {}
  MLX_FN C* turn(int64_t step) const { return states + (step & 1) * R * stride; }
};

/** sums[r] += part of a vector of the weight times row r: what falls to one of `lanes` lanes. */
template <int lanes, typename T, typename C, int R>
MLX_FN void add_products(const T* weight, const C* states, int64_t stride, int lane, C (&sums)[R]) {
  constexpr int n = recurrent_pack;
  for (int64_t k = lane * n; k + n <= stride; k += lanes * n) {
    auto w = load_pack<T, n>(weight, k);
#pragma unroll
    for (int r = 0; r < R; r++) {
      auto x = load_pack<C, n>(states + r * stride, k);
#pragma unroll
      for (int i = 0; i < n; i++) sums[r] = madd(computed(w.at[i]), x.at[i], sums[r]);
    }
  }
}

/** Of the sums over `lanes` neighbouring lanes, that of row `lane` % 8. */
template <int lanes, typename C, int R>
MLX_FN C row_total(C (&sums)[R], int lane) {
  C mine = 0;
#pragma unroll
  for (int r = 0; r < R; r++) {
#pragma unroll
    for (int step = lanes / 2; step > 0; step /= 2) {
      sums[r] += __shfl_xor_sync(~0u, sums[r], step);
    }
    if (lane % gate_lanes == r) mine = sums[r];
  }
  return mine;
}

template <typename T>
MLX_FN Computed<T> value_at(const void* data, int64_t at) {
  return computed(static_cast<const T*>(data)[at]);
}

template <typename T>
MLX_FN Computed<T> put_value(void* data, int64_t at, Computed<T> x) {
  T stored = rounded<T>(x);
  static_cast<T*>(data)[at] = stored;
  return computed(stored);
}

/** One unit in one row, and where its values lie. */
struct RecurrentPlace {
  int64_t row, unit;
  bool exists;

  /** In (rows, length, parts * units). */
  MLX_FN int64_t at(const RecurrentCall& p, int64_t step, int parts = 1, int part = 0) const {
    return ((row * p.length + step) * parts + part) * p.units + unit;
  }
  /** In (rows, units). */
  MLX_FN int64_t alone(const RecurrentCall& p) const { return row * p.units + unit; }
};

template <typename T>
MLX_FN Computed<T> state_before(const RecurrentCall& p, const RecurrentPlace& place, int64_t step,
                                const void* states, const void* first) {
  if (step > 0) return value_at<T>(states, place.at(p, step - 1));
  return first ? value_at<T>(first, place.alone(p)) : Computed<T>(0);
}

// ---- forward

template <typename T, int R>
MLX_FN void load_forward(const RecurrentCall& p, const RecurrentMemory<T, R>& m, int gates) {
  int64_t first_unit = blockIdx.x * p.units_per_block, first_row = int64_t{blockIdx.y} * R;
  for (int64_t v = 0; v < p.units_per_block * gates; v++) {
    int64_t unit = first_unit + v / gates, gate = v % gates;
    const T* from = static_cast<const T*>(p.weight) + (gate * p.units + unit) * p.units;
    for (int64_t k = threadIdx.x; k < m.stride; k += recurrent_threads) {
      m.weight[v * m.stride + k] =
          unit < p.units && k < p.units ? from[k] : rounded<T>(Computed<T>(0));
    }
  }
  for (int r = 0; r < R; r++) {
    int64_t row = first_row + r;
    for (int64_t k = threadIdx.x; k < m.stride; k += recurrent_threads) {
      RecurrentPlace place{row, k, row < p.rows && k < p.units};
      m.turn(p.begin)[r * m.stride + k] =
          place.exists ? state_before<T>(p, place, p.begin, p.hiddens, p.hidden) : 0;
      m.turn(p.begin + 1)[r * m.stride + k] = 0;
    }
  }
}

/** What the step makes of the sums of one unit: its hidden state, as it is stored. */
template <typename T, int kind>
MLX_FN Computed<T> finish_forward(const RecurrentCall& p, const RecurrentPlace& place, int64_t t,
                                  const Computed<T> (&x)[gates_of<kind>],
                                  const Computed<T> (&sums)[gates_of<kind>], Computed<T> before) {
  using C = Computed<T>;
  if constexpr (kind == lstm_layer) {
    C e = x[0] + sums[0], f = x[1] + sums[1], g = x[2] + sums[2], o = x[3] + sums[3];
    auto u =
        t > 0 || p.cell ? lstm_unit<true>(e, f, g, o, before) : lstm_unit<false>(e, f, g, o, C(0));
    put_value<T>(p.cells, place.at(p, t), u.cell);
    if (p.kept) {
      put_value<T>(p.kept, place.at(p, t, 4, 0), u.entry);
      put_value<T>(p.kept, place.at(p, t, 4, 1), u.forget);
      put_value<T>(p.kept, place.at(p, t, 4, 2), u.candidate);
      put_value<T>(p.kept, place.at(p, t, 4, 3), u.output);
    }
    return put_value<T>(p.hiddens, place.at(p, t), u.hidden);
  } else if constexpr (kind == gru_layer) {
    C recurrent = sums[2] + (p.bias ? value_at<T>(p.bias, place.unit) : C(0));
    auto u = gru_unit(x[0] + sums[0], x[1] + sums[1], x[2], recurrent, before);
    if (p.kept) {
      put_value<T>(p.kept, place.at(p, t, 4, 0), u.reset);
      put_value<T>(p.kept, place.at(p, t, 4, 1), u.keep);
      put_value<T>(p.kept, place.at(p, t, 4, 2), u.candidate);
      put_value<T>(p.kept, place.at(p, t, 4, 3), recurrent);
    }
    return put_value<T>(p.hiddens, place.at(p, t), u.hidden);
  } else {
    return put_value<T>(p.hiddens, place.at(p, t), rnn_unit<kind == tanh_layer>(x[0] + sums[0]));
  }
}

/** A warp's turn at unit `u` of the block (four units where a unit has one gate): groups of eight
 *  lanes multiply a gate each, and lane r of a group ends up with row r. */
template <typename T, int kind, int R, bool clustered>
MLX_FN void forward_units(const RecurrentCall& p, const RecurrentMemory<T, R>& m, int64_t u,
                          int64_t t) {
  using C = Computed<T>;
  constexpr int gates = gates_of<kind>;
  int lane = threadIdx.x % 32, group = lane / gate_lanes, row = lane % gate_lanes;
  int64_t mine = gates == 1 ? u + group : u;
  RecurrentPlace place{int64_t{blockIdx.y} * R + row, blockIdx.x * p.units_per_block + mine, false};
  place.exists = row < R && place.row < p.rows && mine < p.units_per_block && place.unit < p.units;
  C x[gates] = {}, before = 0;
  if (place.exists) {  // on their way while the products are made
    for (int g = 0; g < gates; g++) x[g] = value_at<T>(p.projections, place.at(p, t, gates, g));
    if constexpr (kind == lstm_layer) before = state_before<T>(p, place, t, p.cells, p.cell);
  }
  C partial[R] = {};
  if (t > 0 || p.hidden) {
    int64_t vector = gates == 1 ? mine : u * gates + (group < gates ? group : 0);
    if (gates > 1 || mine < p.units_per_block) {
      add_products<gate_lanes>(m.weight + vector * m.stride, m.turn(t), m.stride, row, partial);
    }
  }
  C total = row_total<gate_lanes>(partial, lane), sums[gates];
#pragma unroll
  for (int g = 0; g < gates; g++) {
    sums[g] = gates == 1 ? total : __shfl_sync(~0u, total, g * gate_lanes + row);
  }
  if constexpr (kind == gru_layer) {
    if (place.exists) before = m.turn(t)[row * m.stride + place.unit];
  }
  C hidden = 0;
  if (place.exists && (gates == 1 || group == 0)) {
    hidden = finish_forward<T, kind>(p, place, t, x, sums, before);
  }
  if constexpr (clustered) {
    if (gates > 1) hidden = __shfl_sync(~0u, hidden, row);
    int first = gates == 1 ? 0 : group, each = gates == 1 ? 1 : 32 / gate_lanes;
    if (!place.exists) return;
    C* to = m.turn(t + 1) + row * m.stride + place.unit;
    for (int block = first; block < cluster_blocks(); block += each)
      store_in_block(to, block, hidden);
  }
}

template <typename T, int kind, int R, bool clustered>
MLX_FN void recurrent_forward(const RecurrentCall& p) {
  extern __shared__ uint4 shared[];
  constexpr int turn = gates_of<kind> == 1 ? 32 / gate_lanes : 1;
  RecurrentMemory<T, R> m(p, shared);
  load_forward(p, m, gates_of<kind>);
  __syncthreads();
  if constexpr (clustered) meet_cluster();
  for (int64_t t = p.begin; t < p.end; t++) {
    for (int64_t u = threadIdx.x / 32 * turn; u < p.units_per_block; u += recurrent_warps * turn) {
      forward_units<T, kind, R, clustered>(p, m, u, t);
      __syncwarp();
    }
    if constexpr (clustered) meet_cluster();
  }
}

// ---- backward

/** Gradient `k` of the sums that multiply the weight, as step t stored it. */
template <typename T, int kind>
MLX_FN Computed<T> stored_gradient(const RecurrentCall& p, int64_t row, int64_t t, int64_t k) {
  constexpr int gates = gates_of<kind>;
  int64_t at = row * p.length + t;
  if (kind == gru_layer && k >= 2 * p.units) {
    return value_at<T>(p.recurrent_grad, at * p.units + k - 2 * p.units);
  }
  return value_at<T>(p.projections_grad, at * gates * p.units + k);
}

template <typename T, int kind, int R>
MLX_FN void load_backward(const RecurrentCall& p, const RecurrentMemory<T, R>& m) {
  int64_t first_unit = blockIdx.x * p.units_per_block, first_row = int64_t{blockIdx.y} * R;
  int64_t depth = gates_of<kind> * p.units;
  for (int64_t i = threadIdx.x; i < m.stride * p.units_per_block; i += recurrent_threads) {
    int64_t u = i % p.units_per_block, k = i / p.units_per_block, unit = first_unit + u;
    m.weight[u * m.stride + k] = unit < p.units && k < depth
                                     ? static_cast<const T*>(p.weight)[k * p.units + unit]
                                     : rounded<T>(Computed<T>(0));
  }
  for (int r = 0; r < R; r++) {
    int64_t row = first_row + r;
    bool known = row < p.rows && p.end < p.length;
    for (int64_t k = threadIdx.x; k < m.stride; k += recurrent_threads) {
      m.turn(p.end)[r * m.stride + k] =
          known && k < depth ? stored_gradient<T, kind>(p, row, p.end, k) : 0;
      m.turn(p.end + 1)[r * m.stride + k] = 0;
    }
  }
}

/** Gradients of the sums of one unit at step t, as they are stored, from that of its hidden state.
 */
template <typename T, int kind>
MLX_FN void finish_backward(const RecurrentCall& p, const RecurrentPlace& place, int64_t t,
                            Computed<T> dh, Computed<T> carry,
                            Computed<T> (&grads)[gates_of<kind>]) {
  using C = Computed<T>;
  constexpr int gates = gates_of<kind>;
  C* next = static_cast<C*>(p.carry) + place.alone(p);
  if constexpr (kind == lstm_layer || kind == gru_layer) {
    C kept[4];
    for (int g = 0; g < 4; g++) kept[g] = value_at<T>(p.kept, place.at(p, t, 4, g));
    if constexpr (kind == lstm_layer) {
      auto d =
          lstm_gradient(kept[0], kept[1], kept[2], kept[3], value_at<T>(p.cells, place.at(p, t)),
                        state_before<T>(p, place, t, p.cells, p.cell), dh,
                        value_at<T>(p.cell_cotangent, place.at(p, t)) + carry);
      grads[0] = put_value<T>(p.projections_grad, place.at(p, t, gates, 0), d.entry);
      grads[1] = put_value<T>(p.projections_grad, place.at(p, t, gates, 1), d.forget);
      grads[2] = put_value<T>(p.projections_grad, place.at(p, t, gates, 2), d.candidate);
      grads[3] = put_value<T>(p.projections_grad, place.at(p, t, gates, 3), d.output);
      *next = d.before;
    } else {
      auto d = gru_gradient(kept[0], kept[1], kept[2], kept[3],
                            state_before<T>(p, place, t, p.hiddens, p.hidden), dh + carry);
      grads[0] = put_value<T>(p.projections_grad, place.at(p, t, gates, 0), d.reset);
      grads[1] = put_value<T>(p.projections_grad, place.at(p, t, gates, 1), d.keep);
      put_value<T>(p.projections_grad, place.at(p, t, gates, 2), d.candidate);
      grads[2] = put_value<T>(p.recurrent_grad, place.at(p, t), d.recurrent);
      *next = d.before;
    }
  } else {
    C d = rnn_gradient<kind == tanh_layer>(value_at<T>(p.hiddens, place.at(p, t)), dh);
    grads[0] = put_value<T>(p.projections_grad, place.at(p, t), d);
  }
}

/** A warp's turn at unit `u` of the block: all lanes multiply, and lane r ends up with row r. Step
 *  -1 gives the gradients of the states to start from. */
template <typename T, int kind, int R, bool clustered>
MLX_FN void backward_unit(const RecurrentCall& p, const RecurrentMemory<T, R>& m, int64_t u,
                          int64_t t) {
  using C = Computed<T>;
  constexpr int gates = gates_of<kind>;
  int lane = threadIdx.x % 32, row = lane % gate_lanes;
  RecurrentPlace place{int64_t{blockIdx.y} * R + row, blockIdx.x * p.units_per_block + u, false};
  place.exists = row < R && place.row < p.rows && place.unit < p.units;
  C sums[R] = {};
  if (t + 1 < p.length) {
    add_products<32>(m.weight + u * m.stride, m.turn(t + 1), m.stride, lane, sums);
  }
  C dh = row_total<32>(sums, lane), grads[gates] = {};
  if (place.exists && lane < gate_lanes) {
    bool carries = kind == lstm_layer || kind == gru_layer;
    C carry = carries && t + 1 < p.length ? static_cast<C*>(p.carry)[place.alone(p)] : C(0);
    if (t >= 0) {
      dh += value_at<T>(p.hidden_cotangent, place.at(p, t));
      finish_backward<T, kind>(p, place, t, dh, carry, grads);
    } else {
      if (p.hidden_grad) {
        put_value<T>(p.hidden_grad, place.alone(p), kind == gru_layer ? dh + carry : dh);
      }
      if (p.cell_grad) put_value<T>(p.cell_grad, place.alone(p), carry);
    }
  }
  if constexpr (clustered) {
#pragma unroll
    for (int g = 0; g < gates; g++) grads[g] = __shfl_sync(~0u, grads[g], row);
    if (!place.exists || t < 0) return;
    C* to = m.turn(t) + row * m.stride + place.unit;
    for (int block = lane / gate_lanes; block < cluster_blocks(); block += 32 / gate_lanes) {
#pragma unroll
      for (int g = 0; g < gates; g++) store_in_block(to + g * p.units, block, grads[g]);
    }
  }
}

template <typename T, int kind, int R, bool clustered>
MLX_FN void recurrent_backward(const RecurrentCall& p) {
  extern __shared__ uint4 shared[];
  RecurrentMemory<T, R> m(p, shared);
  load_backward<T, kind, R>(p, m);
  __syncthreads();
  if constexpr (clustered) meet_cluster();
  for (int64_t t = p.end - 1; t >= p.begin; t--) {
    for (int64_t u = threadIdx.x / 32; u < p.units_per_block; u += recurrent_warps) {
      backward_unit<T, kind, R, clustered>(p, m, u, t);
      __syncwarp();
    }
    if constexpr (clustered) meet_cluster();
  }
}

}  // namespace mlx::core::kernels
