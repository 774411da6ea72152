// streams.cpp: streams, events, and copies in flight. Operators compute as they are launched, so their results are
// there at once; what a stream would have to wait for is followed by clocks, as race detectors do (Lamport 1978).
#include "fakegpu.h"

#include <vector>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <c10/util/Exception.h>

namespace fake {

void merge(Clock &into, const Clock &other) {
  for (auto &e : other) {
    uint64_t &at = into[e.first];
    at = std::max(at, e.second);
  }
}

namespace {

// Flight is a copy between pinned memory and a device.
struct Flight {
  int64_t stream;
  uint64_t time;
  const char *host;
  size_t bytes;
  std::function<void()> arrive;
};

struct Event {
  Clock clock;
  bool asked = false; // the first query finds it not done
};

std::map<int64_t, Clock> clocks; // of each stream: what its next operation comes after
Clock host;                      // what the host has waited for
std::vector<Flight> flying;

int64_t key(int device, int64_t id) { return ((int64_t)device << 32) + id; }
int64_t key(const c10::Stream &s) { return key(s.device_index(), s.id()); }

bool known(const Clock &c, int64_t stream, uint64_t time) {
  auto it = c.find(stream);
  return time == 0 || (it != c.end() && it->second >= time);
}

thread_local std::map<int, int64_t> chosen; // the current stream of each device

// land lets the copies arrive that c knows of, in their order.
void land(const Clock &c) {
  std::vector<Flight> left, now;
  for (auto &f : flying)
    (known(c, f.stream, f.time) ? now : left).push_back(std::move(f));
  flying.swap(left);
  for (auto &f : now)
    f.arrive();
}

void host_waits(const Clock &c) {
  merge(host, c);
  land(host);
}

} // namespace

int64_t current_stream(int device) { return key(device, chosen[device]); }

std::string stream_name(int64_t s) { return "stream " + std::to_string(s & 0xffffffff) + " of cuda:" + std::to_string(s >> 32); }

void launch(int64_t stream) {
  Lock lock(mu);
  Clock &c = clocks[stream];
  merge(c, host);
  c[stream]++;
}

void use(Region &r, int64_t stream, bool write) {
  Lock lock(mu);
  Clock &c = clocks[stream];
  auto check = [&](int64_t other, uint64_t time, const char *did) {
    if (known(c, other, time))
      return;
    fault(stream_name(stream) + (write ? " writes" : " reads") + " memory that " + stream_name(other) + " " + did + ", and has not waited for it");
    TORCH_CHECK(false, "fakegpu: a race between streams");
  };
  check(r.writer, r.written, "wrote");
  if (write) {
    for (auto &e : r.readers)
      check(e.first, e.second, "reads");
    r.readers.clear();
    r.writer = stream;
    r.written = c[stream];
  } else {
    r.readers[stream] = c[stream];
  }
}

void check_free(const Region &r) {
  auto check = [&](int64_t stream, uint64_t time) {
    if (stream != r.home && !known(host, stream, time) && !known(clocks[r.home], stream, time) && !r.kept.count(stream))
      fault("memory was freed while " + stream_name(stream) + " may still use it; recordDataPtrOnStream keeps it");
  };
  check(r.writer, r.written);
  for (auto &e : r.readers)
    check(e.first, e.second);
}

void wait(int64_t stream) {
  Lock lock(mu);
  count("wait");
  host_waits(clocks[stream]);
}

void follow(int64_t stream, int64_t other) {
  Lock lock(mu);
  merge(clocks[stream], clocks[other]);
}

void fly(int64_t stream, const void *memory, size_t bytes, std::function<void()> arrive) {
  Lock lock(mu);
  const char *from = (const char *)memory;
  for (auto &f : flying)
    if (f.host < from + bytes && from < f.host + f.bytes && !known(clocks[stream], f.stream, f.time))
      fault("a pinned buffer is used by a copy on " + stream_name(stream) + " while one on " + stream_name(f.stream) + " is in flight");
  flying.push_back({stream, clocks[stream][stream], from, bytes, std::move(arrive)});
}

namespace {

struct Guard final : c10::impl::DeviceGuardImplInterface {
  static constexpr c10::DeviceType static_type = c10::DeviceType::CUDA;
  c10::DeviceType type() const override { return static_type; }
  c10::Device getDevice() const override { return c10::Device(static_type, current_device); }
  c10::Device exchangeDevice(c10::Device d) const override {
    c10::Device was = getDevice();
    setDevice(d);
    return was;
  }
  void setDevice(c10::Device d) const override {
    TORCH_CHECK(d.index() < devices(), "CUDA error: invalid device ordinal");
    uncheckedSetDevice(d);
  }
  void uncheckedSetDevice(c10::Device d) const noexcept override {
    if (d.index() >= 0)
      current_device = d.index();
  }
  c10::DeviceIndex deviceCount() const noexcept override { return devices(); }

  static int index(c10::Device d) { return d.index() >= 0 ? d.index() : current_device; }
  static c10::Stream stream(int device, int64_t id) { return c10::Stream(c10::Stream::UNSAFE, c10::Device(static_type, device), id); }
  c10::Stream getStream(c10::Device d) const noexcept override { return stream(index(d), chosen[index(d)]); }
  c10::Stream getDefaultStream(c10::Device d) const override { return stream(index(d), 0); }
  c10::Stream getStreamFromGlobalPool(c10::Device d, bool) const override {
    static std::atomic<int64_t> next{0};
    return stream(index(d), 1 + next++ % 32);
  }
  c10::Stream exchangeStream(c10::Stream s) const noexcept override {
    c10::Stream was = getStream(s.device());
    chosen[s.device_index()] = s.id();
    return was;
  }

  void record(void **event, const c10::Stream &s, const c10::DeviceIndex, const c10::EventFlag) const override {
    Lock lock(mu);
    if (*event == nullptr)
      *event = new Event;
    *(Event *)*event = Event{clocks[key(s)], false};
  }
  void block(void *event, const c10::Stream &s) const override {
    Lock lock(mu);
    if (event != nullptr)
      merge(clocks[key(s)], ((Event *)event)->clock);
  }
  bool queryEvent(void *event) const override {
    Lock lock(mu);
    Event *e = (Event *)event;
    if (e == nullptr)
      return true;
    if (!std::exchange(e->asked, true))
      return false;
    count("wait");
    host_waits(e->clock);
    return true;
  }
  void destroyEvent(void *event, const c10::DeviceIndex) const noexcept override { delete (Event *)event; }
  bool queryStream(const c10::Stream &) const override { return false; }
  void synchronizeStream(const c10::Stream &s) const override { wait(key(s)); }
#if TORCH_VERSION_MAJOR >= 2
  void synchronizeEvent(void *event) const override {
    Lock lock(mu);
    count("wait");
    if (event != nullptr)
      host_waits(((Event *)event)->clock);
  }
#endif
  void recordDataPtrOnStream(const c10::DataPtr &p, const c10::Stream &s) const override {
    Lock lock(mu);
    if (Region *r = region_of(p.get()))
      r->kept.insert(key(s));
  }
};

} // namespace

void register_guard() {
  static Guard guard;
  c10::impl::DeviceGuardImplRegistrar(c10::DeviceType::CUDA, &guard);
}

} // namespace fake
