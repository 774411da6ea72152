// gloo.cpp: sums over processes by c10d's Gloo. See gloo.h.
#define USE_C10D_GLOO
#include "gloo.h"
#include "../../shim/protect.h"

#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

using std::chrono::milliseconds;

namespace {

// Board is a c10d store whose other ranks' entries come by hand: Gloo sets what the others must know of this rank and
// waits for theirs, which meet brings. No port is open for it.
class Board : public c10d::Store {
public:
  using Bytes = std::vector<uint8_t>;

  void set(const std::string &key, const Bytes &value) override {
    put(key, value);
    std::lock_guard<std::mutex> hold(mutex);
    append(news, key.data(), key.size());
    append(news, value.data(), value.size());
    changed.notify_all();
  }

  void put(const std::string &key, const Bytes &value) {
    std::lock_guard<std::mutex> hold(mutex);
    entries[key] = value;
    changed.notify_all();
  }

  Bytes get(const std::string &key) override {
    wait({key});
    std::lock_guard<std::mutex> hold(mutex);
    return entries[key];
  }

  bool check(const std::vector<std::string> &keys) override {
    std::lock_guard<std::mutex> hold(mutex);
    return has(keys);
  }

  void wait(const std::vector<std::string> &keys) override { wait(keys, timeout_); }

  void wait(const std::vector<std::string> &keys, const milliseconds &timeout) override {
    std::unique_lock<std::mutex> hold(mutex);
    bool there = changed.wait_for(hold, timeout, [&] { return has(keys) || closed; });
    TORCH_CHECK(there && !closed, "the other ranks did not come");
  }

  int64_t getNumKeys() override { return entries.size(); }
  int64_t add(const std::string &, int64_t) override { TORCH_CHECK(false, "a board does not count"); }
  bool deleteKey(const std::string &) override { TORCH_CHECK(false, "a board forgets nothing"); }

  // card waits for entries that this rank has made; it is empty when there will be no more.
  std::string card() {
    std::unique_lock<std::mutex> hold(mutex);
    changed.wait(hold, [&] { return !news.empty() || closed || complete; });
    std::string all;
    all.swap(news);
    return all;
  }

  // end says that this rank makes no more entries.
  void end() {
    std::lock_guard<std::mutex> hold(mutex);
    complete = true;
    changed.notify_all();
  }

  void close() {
    std::lock_guard<std::mutex> hold(mutex);
    closed = true;
    changed.notify_all();
  }

private:
  bool has(const std::vector<std::string> &keys) {
    for (const auto &k : keys)
      if (entries.find(k) == entries.end())
        return false;
    return true;
  }

  static void append(std::string &all, const void *data, size_t n) {
    uint32_t size = n;
    all.append((const char *)&size, sizeof size);
    all.append((const char *)data, n);
  }

  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::string, Bytes> entries;
  std::string news; // own entries that no card has held yet
  bool complete = false, closed = false;
};

// Group is the ranks as this one sees them. Gloo's constructor returns when all are connected, so it has a thread.
struct Group {
  c10::intrusive_ptr<Board> board = c10::make_intrusive<Board>();
  c10::intrusive_ptr<c10d::ProcessGroupGloo> gloo;
  std::thread maker;
  std::string failure, card;

  void make(int rank, int world, std::string host, milliseconds timeout) {
    try {
      auto options = c10d::ProcessGroupGloo::Options::create(timeout);
      options->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname(host));
      options->threads = 1;
      gloo = c10::make_intrusive<c10d::ProcessGroupGloo>(board, rank, world, options);
    } catch (const c10::Error &e) {
      failure = e.what_without_backtrace();
    } catch (const std::exception &e) {
      failure = e.what();
    }
    board->end();
  }

  void check() {
    TORCH_CHECK(failure.empty(), failure);
  }

  ~Group() {
    board->close();
    if (maker.joinable())
      maker.join();
  }
};

Group *of(void *group) { return (Group *)group; }

// cut takes a piece off the front of a card.
std::string cut(const char *&data, int64_t &left) {
  uint32_t size;
  TORCH_CHECK(left >= (int64_t)sizeof size, "a rank's card is cut short");
  memcpy(&size, data, sizeof size);
  data += sizeof size;
  left -= sizeof size;
  TORCH_CHECK(left >= (int64_t)size, "a rank's card is cut short");
  std::string piece(data, size);
  data += size;
  left -= size;
  return piece;
}

} // namespace

char *af_group_begin(void **group, int rank, int world, const char *host, int64_t timeout_ms) {
  PROTECTED({
    auto g = new Group;
    *group = g;
    g->board->setTimeout(milliseconds(timeout_ms));
    g->maker = std::thread([=, host = std::string(host)] { g->make(rank, world, host, milliseconds(timeout_ms)); });
  })
}

void af_group_card(void *group, const char **card, int64_t *len) {
  Group *g = of(group);
  g->card = g->board->card();
  *card = g->card.data();
  *len = g->card.size();
}

char *af_group_meet(void *group, const char *card, int64_t len) {
  PROTECTED({
    while (len > 0) {
      std::string key = cut(card, len);
      std::string value = cut(card, len);
      of(group)->board->put(key, std::vector<uint8_t>(value.begin(), value.end()));
    }
  })
}

char *af_group_connect(void *group) {
  PROTECTED({
    of(group)->maker.join();
    of(group)->check();
  })
}

static std::vector<at::Tensor> wrap(void *data, int64_t n, at::ScalarType type) {
  return {at::from_blob(data, {n}, at::TensorOptions().dtype(type))};
}

char *af_group_sum(void *group, void *data, int64_t n, int wide) {
  PROTECTED({
    auto tensors = wrap(data, n, wide ? at::kDouble : at::kFloat);
    of(group)->gloo->allreduce(tensors)->wait();
  })
}

char *af_group_share(void *group, void *data, int64_t n) {
  PROTECTED({
    auto tensors = wrap(data, n, at::kByte);
    of(group)->gloo->broadcast(tensors)->wait();
  })
}

void af_group_end(void *group) { delete of(group); }
