#include "plan_cache.h"

#include <cstring>
#include <list>
#include <mutex>
#include <tuple>

#include "tensor_images.h"

namespace freqops {
namespace {

// Most recently used first.
template <class Entry>
class RecentEntries {
 public:
  RecentEntries(size_t entries, size_t bytes) : most_entries_(entries), most_bytes_(bytes) {}

  template <class Matches>
  const Entry* find(Matches&& matches) {
    for (auto it = entries_.begin(); it != entries_.end(); ++it) {
      if (!matches(*it)) continue;
      entries_.splice(entries_.begin(), entries_, it);
      return &entries_.front();
    }
    return nullptr;
  }
  void insert(Entry entry) {
    if (entry.bytes > most_bytes_ / 2) return;
    bytes_ += entry.bytes;
    entries_.push_front(std::move(entry));
    while (entries_.size() > most_entries_ || bytes_ > most_bytes_) {
      bytes_ -= entries_.back().bytes;
      entries_.pop_back();
    }
  }

 private:
  std::list<Entry> entries_;
  size_t most_entries_, most_bytes_, bytes_ = 0;
};

template <class Key, class Value>
struct KeyedEntry {
  Key key;
  std::shared_ptr<const Value> value;
  size_t bytes;
};

// Finds or makes; two threads may make the same value at the same time, which costs time and nothing else.
template <class Key, class Value, class Make>
std::shared_ptr<const Value> find_or_make(const Key& key, size_t entries, size_t bytes, Make&& make) {
  using Entry = KeyedEntry<Key, Value>;
  static std::mutex mutex;
  static RecentEntries<Entry> recent(entries, bytes);
  {
    const std::lock_guard<std::mutex> lock(mutex);
    if (const Entry* entry = recent.find([&](const Entry& e) { return e.key == key; })) return entry->value;
  }
  Entry made{key, make(), 0};
  made.bytes = made.value->bytes();
  const std::lock_guard<std::mutex> lock(mutex);
  recent.insert(made);
  return made.value;
}

template <class T>
struct TableEntry {
  std::shared_ptr<const FilterPlan<T>> plan;
  ResponseArray<T> made_from;  // its pointers are not followed
  std::vector<T> re, im;       // what they pointed to; empty where a key stands for it
  std::shared_ptr<const ResponseTables<T>> tables;
  size_t bytes;

  bool matches(const FilterPlan<T>* wanted, const ResponseArray<T>& array) const {
    const ResponseArray<T>& own = made_from;
    if (plan.get() != wanted || own.key != array.key || own.responses != array.responses ||
        own.channels != array.channels || own.height != array.height || own.width != array.width ||
        (own.im == nullptr) != (array.im == nullptr)) {
      return false;
    }
    const auto same = [](const std::vector<T>& kept, const T* values) {
      return kept.empty() || std::memcmp(kept.data(), values, kept.size() * sizeof(T)) == 0;
    };
    return array.key != 0 || (same(re, array.re) && same(im, array.im));
  }
};

template <class T>
std::shared_ptr<const ResponseTables<T>> make_tables(std::shared_ptr<const FilterPlan<T>> plan,
                                                     const ResponseArray<T>& array) {
  auto tables = std::make_shared<ResponseTables<T>>(plan, array.responses, array.channels, array.im != nullptr);
  const auto build = [&](int64_t begin, int64_t end, void*) {
    for (int64_t c = begin; c < end; ++c) {
      std::vector<HalfResponse<T>> halves;
      for (int r = 0; r < array.responses; ++r) {
        const int64_t offset = (r * array.channels + c) * array.half_elements();
        halves.push_back({array.re + offset, array.im ? array.im + offset : nullptr, array.height, array.width});
      }
      tables->build_channel(c, halves);
    }
  };
  run_parallel(array.channels, grain_of(array.responses * array.height * array.width * 8), 64, build);
  return tables;
}

}  // namespace

template <class T>
std::shared_ptr<const FilterPlan<T>> cached_filter_plan(const FilterForm& form, int lanes) {
  using Key = std::tuple<int, int, bool, bool, int>;
  const Key key{form.height, form.width, form.line, form.planes_as_lanes, lanes};
  return find_or_make<Key, FilterPlan<T>>(key, 64, size_t{128} << 20,
                                          [&] { return std::make_shared<const FilterPlan<T>>(form, lanes); });
}

template <class T>
std::shared_ptr<const PlannedAxis<T>> cached_axis(int length) {
  return find_or_make<int, PlannedAxis<T>>(length, 64, size_t{64} << 20,
                                           [&] { return std::make_shared<const PlannedAxis<T>>(length); });
}

template <class T>
std::shared_ptr<const ResponseTables<T>> cached_tables(std::shared_ptr<const FilterPlan<T>> plan,
                                                       const ResponseArray<T>& array) {
  static std::mutex mutex;
  static RecentEntries<TableEntry<T>> recent(64, size_t{256} << 20);
  {
    const std::lock_guard<std::mutex> lock(mutex);
    const auto* entry = recent.find([&](const TableEntry<T>& e) { return e.matches(plan.get(), array); });
    if (entry) return entry->tables;
  }
  const auto tables = make_tables(plan, array);
  TableEntry<T> made{plan, array, {}, {}, tables, 0};
  if (array.key == 0) {
    made.re.assign(array.re, array.re + array.elements());
    if (array.im) made.im.assign(array.im, array.im + array.elements());
  }
  made.bytes = tables->bytes() + (made.re.size() + made.im.size()) * sizeof(T);
  const std::lock_guard<std::mutex> lock(mutex);
  recent.insert(std::move(made));
  return tables;
}

#define FREQOPS_INSTANTIATE_CACHE(T)                                                                       \
  template std::shared_ptr<const FilterPlan<T>> cached_filter_plan<T>(const FilterForm&, int);             \
  template std::shared_ptr<const PlannedAxis<T>> cached_axis<T>(int);                                      \
  template std::shared_ptr<const ResponseTables<T>> cached_tables<T>(std::shared_ptr<const FilterPlan<T>>, \
                                                                     const ResponseArray<T>&);
FREQOPS_INSTANTIATE_CACHE(float)
FREQOPS_INSTANTIATE_CACHE(double)

}  // namespace freqops
