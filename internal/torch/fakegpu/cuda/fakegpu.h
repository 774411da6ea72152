// fakegpu.h: the parts of a GPU whose memory is the host's, for tests. doc.go of internal/torch/fakegpu says what it
// shows and what it cannot.
//   memory.cpp     device and pinned memory, counts, faults
//   streams.cpp    streams, events, and what is in flight
//   operators.cpp  tensors, copies, the fallback for every other operator, and how libtorch finds it all
#ifndef FAKEGPU_H
#define FAKEGPU_H
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <c10/core/Allocator.h>
#include <c10/core/Stream.h>
#include <torch/version.h>

namespace fake {

// Everything below is guarded by mu; functions take it themselves.
extern std::recursive_mutex mu;
using Lock = std::lock_guard<std::recursive_mutex>;

// A Clock says of each stream up to which of its operations all is known to have happened.
using Clock = std::map<int64_t, uint64_t>;
void merge(Clock &into, const Clock &other);

// Region is one tensor's memory on a device. No two ever have the same address, so use after free is always seen.
struct Region {
  size_t size;             // of its pages
  int device;
  int64_t home;            // the stream it was allocated for
  int open = 0;            // how many of the GPU's own functions read or write it now
  int64_t writer = 0;      // the stream of the last write, and when
  uint64_t written = 0;
  Clock readers;
  std::set<int64_t> kept;  // streams that recordDataPtrOnStream named
};

// memory.cpp
c10::Allocator *device_memory();
c10::Allocator *pinned_memory();
Region *region_of(const void *base);           // nullptr: not the device's
bool is_pinned(const void *p);
void protect(char *base, Region &r, bool open); // opens or closes it once more
void count(const std::string &what, size_t bytes = 0);
void fault(const std::string &what); // keeps it and says it on stderr
int devices();
extern thread_local int current_device;

// streams.cpp
int64_t current_stream(int device);
std::string stream_name(int64_t stream);
void use(Region &r, int64_t stream, bool write); // throws where another stream's work was not waited for
void check_free(const Region &r);
void launch(int64_t stream);      // one more operation in it
void wait(int64_t stream);        // the host, for all of it
void follow(int64_t stream, int64_t other); // stream goes on after what other has in it now
// fly adds a copy that arrives at the next wait for the stream; host is the pinned memory it reads or writes.
void fly(int64_t stream, const void *host, size_t bytes, std::function<void()> arrive);
void register_guard();

} // namespace fake
#endif
