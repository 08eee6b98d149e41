// Array handles and their nodes. Graphs may be millions of nodes deep, so a node's death releases
// its inputs from a list and never by recursion.
#include "mlx/array.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <new>
#include <utility>

#include "mlx/core/errors.h"
#include "mlx/core/graph_lock.h"
#include "mlx/core/layout.h"
#include "mlx/core/object_pool.h"
#include "mlx/core/origins.h"
#include "mlx/core/tracing.h"
#include "mlx/ops.h"
#include "mlx/primitives.h"
#include "mlx/transforms.h"

namespace mlx::core {

size_t num_elements(const Shape& shape) {
  int64_t count = 1;
  bool overflow = false;
  bool empty = false;
  for (auto extent : shape) {
    check(extent >= 0, "array", "Shape ", shape, " has a negative extent.");
    empty |= extent == 0;
    overflow |= __builtin_mul_overflow(count, static_cast<int64_t>(extent), &count);
  }
  check(empty || !overflow, "array", "Shape ", shape, " has more than 2^63 - 1 elements.");
  return empty ? 0 : count;
}

namespace {

size_t checked_bytes(size_t elements, const Shape& shape, Dtype dtype) {
  int64_t bytes = 0;
  bool overflow = __builtin_mul_overflow(static_cast<int64_t>(elements),
                                         static_cast<int64_t>(dtype.size()), &bytes);
  check(!overflow, "array", "An array of shape ", shape, " and dtype ", dtype_name(dtype),
        " has more than 2^63 - 1 bytes.");
  return static_cast<size_t>(bytes);
}

}  // namespace

size_t num_bytes(const Shape& shape, Dtype dtype) {
  return checked_bytes(num_elements(shape), shape, dtype);
}

void fail_initializer_size(size_t values, const Shape& shape) {
  fail("array", "Got ", values, " values for shape ", shape, ".");
}

void check_item(const array& a) {
  check(a.size() == 1, "item", "Only arrays with one element convert to a scalar; got shape ",
        a.shape(), ".");
}

namespace {

/** The allocator's own way to release memory is the empty one. */
allocator::Data owned(allocator::Buffer buffer, Deleter deleter) {
  auto* plain = deleter.target<void (*)(allocator::Buffer)>();
  return {buffer, plain && *plain == &allocator::free ? Deleter() : std::move(deleter)};
}

}  // namespace

array::Data::Data(allocator::Buffer buffer, Deleter d) : Data(owned(buffer, std::move(d))) {}

array::Data::Data(Data&& other) noexcept
    : buffer(std::exchange(other.buffer, allocator::Buffer())),
      d(std::exchange(other.d, nullptr)),
      device_copy(std::move(other.device_copy)) {}

array::Data::~Data() {
  if (d) {
    d(buffer);
  } else {
    allocator::free(buffer);
  }
}

namespace {

/** Releases the buffer if there is no memory for its owner. */
std::shared_ptr<array::Data> take_over(allocator::Data data) {
  try {
    return make_pooled<array::Data>(std::move(data));
  } catch (const std::bad_alloc&) {
    array::Data released(std::move(data));
    throw;
  }
}

}  // namespace

array::ArrayDesc::ArrayDesc(Shape shape, Dtype dtype)
    : shape(std::move(shape)), dtype(dtype), status(Status::available) {
  size = num_elements(this->shape);
  checked_bytes(size, this->shape, dtype);
  strides = row_contiguous_strides(this->shape);
}

array::ArrayDesc::ArrayDesc(Shape shape, Dtype dtype, std::shared_ptr<Primitive> primitive,
                            std::vector<array> inputs)
    : ArrayDesc(std::move(shape), dtype) {
  this->primitive = std::move(primitive);
  this->inputs = std::move(inputs);
  status = Status::unscheduled;
  for (auto& in : this->inputs) {
    if (in.desc_->trace) {
      trace = detail::last_to_end(trace, in.desc_->trace);
    }
  }
  detail::note_origin(reinterpret_cast<std::uintptr_t>(this));
}

namespace {
thread_local std::vector<array>* dying_inputs = nullptr;
}

std::shared_ptr<array::ArrayDesc> array::make_desc(Shape shape, Dtype dtype) {
  return make_pooled<ArrayDesc>(std::move(shape), dtype);
}

array::ArrayDesc::~ArrayDesc() {
  if (inputs.empty()) {
    return;
  }
  if (dying_inputs) {
    try {
      for (auto& in : inputs) {
        dying_inputs->push_back(std::move(in));
      }
    } catch (const std::bad_alloc&) {  // the others die here
    }
    return;
  }
  std::vector<array> pending = std::move(inputs);
  dying_inputs = &pending;
  while (!pending.empty()) {
    array next = std::move(pending.back());
    pending.pop_back();
  }
  dying_inputs = nullptr;
}

array::array(const std::complex<float>& val, Dtype dtype) : desc_(make_desc(Shape{}, dtype)) {
  set_scalar(complex64_t(val));
}

array::array(const std::complex<double>& val, Dtype dtype) : desc_(make_desc(Shape{}, dtype)) {
  set_scalar(complex128_t(val));
}

array::array(std::initializer_list<float> data)
    : array(data.begin(), Shape{static_cast<ShapeElem>(data.size())}, float32) {}

array::array(std::initializer_list<int> data, Dtype dtype)
    : array(data.begin(), Shape{static_cast<ShapeElem>(data.size())}, dtype) {}

array::array(void* data, Shape shape, Dtype dtype, const std::function<void(void*)>& deleter)
    : array(allocator::Data(allocator::Buffer(data),
                            [deleter](allocator::Buffer b) { deleter(b.raw_ptr()); }),
            std::move(shape), dtype) {}

array::array(allocator::Data data, Shape shape, Dtype dtype) {
  auto owner = take_over(std::move(data));  // first: what follows may fail
  desc_ = make_desc(std::move(shape), dtype);
  desc_->data = std::move(owner);
  desc_->data_size = size();
  desc_->flags = layout_flags(this->shape(), strides(), size());
}

array::array(allocator::Buffer data, Shape shape, Dtype dtype, Deleter deleter)
    : array(owned(data, std::move(deleter)), std::move(shape), dtype) {}

array::array(Shape shape, Dtype dtype, std::shared_ptr<Primitive> primitive,
             std::vector<array> inputs)
    : desc_(make_pooled<ArrayDesc>(std::move(shape), dtype, std::move(primitive),
                                   std::move(inputs))) {}

std::vector<array> array::make_arrays(std::vector<Shape> shapes, const std::vector<Dtype>& dtypes,
                                      const std::shared_ptr<Primitive>& primitive,
                                      const std::vector<array>& inputs) {
  std::vector<array> outputs;
  outputs.reserve(shapes.size());
  for (size_t i = 0; i < shapes.size(); i++) {
    outputs.push_back(array(std::move(shapes[i]), dtypes[i], primitive, inputs));
  }
  if (outputs.size() > 1) {
    std::vector<std::vector<array>> siblings(outputs.size(), outputs);
    for (size_t i = 0; i < outputs.size(); i++) {  // all or none: half a ring would keep itself
      siblings[i].erase(siblings[i].begin() + i);
      outputs[i].set_siblings(std::move(siblings[i]), i);
    }
  }
  return outputs;
}

array::~array() {
  if (desc_ && desc_->in_ring.load(std::memory_order_acquire)) {
    leave_ring();
  }
}

// Siblings hold each other. When this is the last handle from outside to any of them, the ring is
// taken apart; until then each keeps all alive, since one evaluation makes them together.
// Evaluation takes rings apart too, and other handles may go at the same time.
void array::leave_ring() {
  std::lock_guard lock(graph_lock());
  auto last = std::move(desc_);
  if (last->siblings.empty()) {
    return;
  }
  long ring = last->siblings.size();
  if (last.use_count() != ring + 1) {
    return;
  }
  for (auto& s : last->siblings) {
    if (s.desc_.use_count() != ring) {
      return;
    }
  }
  auto own = last->take_siblings();
  for (auto& s : own) {  // handles that go in the next loop have no ring to look after
    s.desc_->in_ring = false;
  }
  for (auto& s : own) {
    s.desc_->take_siblings();
  }
}

void array::set_siblings(std::vector<array> siblings, uint16_t position) {
  desc_->siblings = std::move(siblings);
  desc_->position = position;
  desc_->in_ring = !desc_->siblings.empty();
}

std::vector<array> array::ArrayDesc::take_siblings() {
  position = 0;
  in_ring.store(false, std::memory_order_release);
  return std::exchange(siblings, {});
}

array array::unsafe_weak_copy(const array& other) {
  array copy(other.shape(), other.dtype(), nullptr, {});
  copy.set_status(Status::available);
  copy.desc_->strides = other.strides();
  copy.desc_->flags = other.flags();
  copy.desc_->data_size = other.data_size();
  copy.desc_->offset = other.offset();
  copy.desc_->data = other.data_shared_ptr();
  return copy;
}

std::vector<array> array::outputs() const {
  const auto& others = siblings();
  auto here = others.begin() + desc_->position;
  std::vector<array> all;
  all.reserve(others.size() + 1);
  all.insert(all.end(), others.begin(), here);
  all.push_back(*this);
  all.insert(all.end(), here, others.end());
  return all;
}

void array::detach() {
  desc_->primitive = nullptr;
  if (desc_->siblings.empty()) {
    auto inputs = std::exchange(desc_->inputs, {});
    return;
  }
  std::vector<array> inputs = std::exchange(desc_->inputs, {});
  std::vector<array> ring = desc_->take_siblings();
  for (auto& s : ring) {  // handles that go in the next loop have no ring to look after
    s.desc_->in_ring = false;
  }
  for (auto& s : ring) {
    s.desc_->take_siblings();
    s.desc_->inputs.clear();
    s.desc_->primitive = nullptr;
  }
}

void array::set_tracer(bool is_tracer) {
  auto trace = is_tracer ? detail::current_trace() : nullptr;
  desc_->trace = trace ? detail::last_to_end(desc_->trace, trace) : nullptr;
}

bool array::is_being_traced() const { return desc_->trace->under_way; }

bool array::is_available() const {
  // The event stays: other threads may be looking at it.
  if (status() == Status::evaluated && event().is_signaled()) {
    set_status(Status::available);
  }
  return status() == Status::available;
}

void array::wait() {
  if (!is_available() && event().valid()) {
    event().wait();
    set_status(Status::available);
  }
  if (auto failure = error()) {
    std::rethrow_exception(failure);
  }
}

std::exception_ptr array::known_error() const {
  return desc_->error ? desc_->error : event().failure();
}

std::exception_ptr array::error() const {
  if (auto failure = known_error()) {
    return failure;
  }
  if (!desc_->doubts || !is_available()) {
    return nullptr;
  }
  for (auto& doubt : *desc_->doubts) {
    if (auto failure = doubt->verdict()) {
      return failure;
    }
  }
  return nullptr;
}

void array::add_doubt(std::shared_ptr<Doubt> doubt) const {
  doubt->follow(event());
  std::vector<std::shared_ptr<Doubt>> one{std::move(doubt)};
  add_doubts(std::make_shared<const std::vector<std::shared_ptr<Doubt>>>(std::move(one)));
}

void array::add_doubts(const Doubts& doubts) const {
  auto& own = desc_->doubts;
  if (!doubts || doubts == own) {
    return;
  }
  // Mostly the first of them are over, if any; a list that is passed on from step to step would
  // grow.
  if (!own && !doubts->front()->is_over() && !doubts->back()->is_over()) {
    own = doubts;
    return;
  }
  auto is_new = [&](size_t i) {
    auto& doubt = (*doubts)[i];
    // Lists that come from one another mostly have the same in the same place.
    bool known = own && ((i < own->size() && (*own)[i] == doubt) ||
                         std::find(own->begin(), own->end(), doubt) != own->end());
    return !known && !doubt->is_over();
  };
  std::vector<std::shared_ptr<Doubt>> news;
  for (size_t i = 0; i < doubts->size(); i++) {
    if (is_new(i)) news.push_back((*doubts)[i]);
  }
  if (!news.empty()) {
    if (own) {
      std::vector<std::shared_ptr<Doubt>> open;
      std::copy_if(own->begin(), own->end(), std::back_inserter(open),
                   [](const std::shared_ptr<Doubt>& doubt) { return !doubt->is_over(); });
      news.insert(news.begin(), open.begin(), open.end());
    }
    own = std::make_shared<const std::vector<std::shared_ptr<Doubt>>>(std::move(news));
  }
}

void array::eval() {
  if (status() == Status::unscheduled) {
    core::eval({*this});
  } else {
    wait();
  }
}

void* array::host_buffer() const {
  auto buffer = this->buffer();
  auto* memory = buffer.device_memory();
  if (!memory) {
    return buffer.ptr();
  }
  auto [begin, end] = byte_range(*this);
  return memory->host_address(static_cast<size_t>(begin), static_cast<size_t>(end));
}

void array::allocate() { set_data(allocator::malloc(nbytes())); }

void array::set_data(allocator::Data data) {
  desc_->data = take_over(std::move(data));
  desc_->strides = row_contiguous_strides(shape());
  desc_->data_size = size();
  desc_->offset = 0;
  desc_->flags = layout_flags(shape(), strides(), size());
}

void array::set_data(allocator::Data data, size_t data_size, Strides strides, Flags flags,
                     int64_t offset) {
  desc_->data = take_over(std::move(data));
  desc_->data_size = data_size;
  desc_->strides = std::move(strides);
  desc_->flags = flags;
  desc_->offset = offset;
}

void array::set_data(allocator::Buffer buffer, Deleter d) { set_data(owned(buffer, std::move(d))); }

void array::set_data(allocator::Buffer buffer, size_t data_size, Strides strides, Flags flags,
                     Deleter d) {
  set_data(owned(buffer, std::move(d)), data_size, std::move(strides), flags);
}

void array::set_data(allocator::Buffer buffer, size_t data_size, Strides strides, Flags flags,
                     int64_t offset, Deleter d) {
  set_data(owned(buffer, std::move(d)), data_size, std::move(strides), flags, offset);
}

void array::copy_shared_buffer(const array& other, const Strides& strides, Flags flags,
                               size_t data_size, int64_t offset) {
  desc_->data = other.desc_->data;
  desc_->strides = strides;
  desc_->flags = flags;
  desc_->data_size = data_size;
  desc_->offset =
      other.offset() * static_cast<int64_t>(other.itemsize()) / static_cast<int64_t>(itemsize()) +
      offset;
}

void array::copy_shared_buffer(const array& other) {
  internal_check(shape() == other.shape(), "a layout can only be shared by arrays of one shape");
  copy_shared_buffer(other, other.strides(), other.flags(), other.data_size());
}

ArrayIterator array::begin() const { return ArrayIterator(*this); }
ArrayIterator array::end() const { return ArrayIterator(*this, shape(0)); }

ArrayIterator::ArrayIterator(array arr, int idx) : arr_(std::move(arr)), idx_(idx) {
  check(arr_.ndim() > 0, "array", "Cannot iterate over a 0-d array.");
}

ArrayIterator::reference ArrayIterator::operator*() const { return take(arr_, idx_, 0); }

}  // namespace mlx::core
