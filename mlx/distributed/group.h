// The contract of a group: what a way of connecting processes provides. Data come as row-contiguous
// arrays in host memory, and a call returns when its output is written.
#pragma once

#include <memory>

#include "mlx/array.h"
#include "mlx/utils.h"

namespace mlx::core::distributed::detail {

enum class Reduction : uint8_t { Sum, Max, Min };

class GroupImpl {
 public:
  GroupImpl() = default;
  virtual ~GroupImpl() = default;
  GroupImpl(const GroupImpl&) = delete;
  GroupImpl& operator=(const GroupImpl&) = delete;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  /** As Group::split. */
  virtual std::shared_ptr<GroupImpl> split(int color, int key) = 0;

  /** Where messages of an op that was asked to run on `s` are sent from. */
  virtual Stream stream_for(StreamOrDevice s) const;

  /** out = the members' inputs, combined by element. */
  virtual void all_reduce(Reduction reduction, const array& in, array& out) = 0;
  /** out = the members' inputs one after the other. */
  virtual void all_gather(const array& in, array& out) = 0;
  /** out = this member's part of the sum of all inputs. */
  virtual void sum_scatter(const array& in, array& out) = 0;
  virtual void send(const array& in, int destination) = 0;
  virtual void recv(array& out, int source) = 0;
};

}  // namespace mlx::core::distributed::detail
