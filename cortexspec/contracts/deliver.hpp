// Kernels of the operations events.deliver, events.collect and events.per_edge (cortexspec/ir/ops/events.py).
//
// Arrays are dense: z [source, width], rows [source + 1], target [edge], ring [slot, post, width]; `width` counts everything else
// (trials). `per` says whether there is one weight (0), one a source (1) or one a connection (2). `steps` is the delay of all connections,
// or negative, where `delay` [edge] has them. `reached` [source, width], which may be null, is 0 where nobody asks for what is collected.
#pragma once
#include <cstdint>

namespace cortexspec {

struct Sizes {
    int64_t sources, posts, slots, width, per, steps;
};

// Where connections end that are read at `now`. A delay of its own is less than the number of slots, so one turn at most is taken off.
template <class I>
struct Slots {
    int64_t count, first, all;
    const I *delay;

    Slots(const Sizes &s, int64_t now, const I *each)
        : count(s.slots), first(now % s.slots), all((now + (s.steps < 0 ? 0 : s.steps)) % s.slots), delay(s.steps < 0 ? each : nullptr) {}

    int64_t of(int64_t e) const {
        if (!delay) return all;
        const int64_t slot = first + static_cast<int64_t>(delay[e]);
        return slot < count ? slot : slot - count;
    }
};

template <class T>
inline bool silent(const T *z, int64_t width) {
    for (int64_t k = 0; k < width; ++k)
        if (z[k] != 0) return false;
    return true;
}

// The first source from `j` on that is not silent. Most are: single values are looked at in blocks that vectorise.
template <class T>
inline int64_t next_active(const Sizes &s, const T *z, int64_t j) {
    constexpr int64_t block = 64;
    if (s.width == 1)
        for (; j + block <= s.sources; j += block) {
            int any = 0;
            for (int64_t k = 0; k < block; ++k) any |= z[j + k] != 0;
            if (any) break;
        }
    while (j < s.sources && silent(z + j * s.width, s.width)) ++j;
    return j;
}

template <class T, class I>
void deliver(const Sizes &s, const T *z, const I *rows, const I *target, const T *weight, const I *now, const I *delay, T *ring) {
    const Slots<I> slots(s, *now, delay);
    T *here = ring + slots.all * s.posts * s.width;
    for (int64_t j = next_active(s, z, 0); j < s.sources; j = next_active(s, z, j + 1)) {
        const T *sent = z + j * s.width;
        const int64_t first = rows[j], last = rows[j + 1];
        if (s.width == 1 && s.steps >= 0) {
            if (s.per == 2) {
                for (int64_t e = first; e < last; ++e) here[target[e]] += sent[0] * weight[e];
            } else {
                const T amount = sent[0] * weight[s.per ? j : 0];
                for (int64_t e = first; e < last; ++e) here[target[e]] += amount;
            }
            continue;
        }
        for (int64_t e = first; e < last; ++e) {
            T *to = ring + (slots.of(e) * s.posts + target[e]) * s.width;
            const T w = weight[s.per == 2 ? e : s.per ? j : 0];
            for (int64_t k = 0; k < s.width; ++k) to[k] += sent[k] * w;
        }
    }
}

template <class T, class I>
void collect(const Sizes &s, const I *rows, const I *target, const T *weight, const T *ring, const I *now, const I *delay, const T *reached,
             T *found) {
    const Slots<I> slots(s, *now, delay);
    for (int64_t j = 0; j < s.sources; ++j) {
        T *sum = found + j * s.width;
        const T *asked = reached ? reached + j * s.width : nullptr;
        for (int64_t k = 0; k < s.width; ++k) sum[k] = 0;
        if (asked && silent(asked, s.width)) continue;
        for (int64_t e = rows[j]; e < rows[j + 1]; ++e) {
            const T *from = ring + (slots.of(e) * s.posts + target[e]) * s.width;
            const T w = weight[s.per == 2 ? e : s.per ? j : 0];
            for (int64_t k = 0; k < s.width; ++k) sum[k] += w * from[k];
        }
        if (asked)
            for (int64_t k = 0; k < s.width; ++k)
                if (asked[k] == 0) sum[k] = 0;
    }
}

template <class T, class I>
void per_edge(const Sizes &s, const T *z, const I *rows, const I *target, const T *ring, const I *now, const I *delay, T *found) {
    const Slots<I> slots(s, *now, delay);
    for (int64_t j = 0; j < s.sources; ++j) {
        const T *sent = z + j * s.width;
        const bool none = silent(sent, s.width);
        for (int64_t e = rows[j]; e < rows[j + 1]; ++e) {
            T sum = 0;
            if (!none) {
                const T *from = ring + (slots.of(e) * s.posts + target[e]) * s.width;
                for (int64_t k = 0; k < s.width; ++k) sum += sent[k] * from[k];
            }
            found[e] = sum;
        }
    }
}

}  // namespace cortexspec
