// Kernel of the derivatives of linear.sparse_product (cortexspec/ir/ops/linear.py), y[r] = sum over k of weight[k, r] * x[index[k, r]].
//
// Arrays are dense: weight, index [slot, row], x [source, width], flow [row, width]; `width` counts everything else (trials).
#pragma once
#include <algorithm>
#include <cstdint>

#include "lanes.hpp"

namespace cortexspec {

struct Table {
    int64_t slots, rows, sources, width;
};

// by_weight[k, r] = sum over b of x[index[k, r], b] * flow[r, b];  by_x[index[k, r]] += weight[k, r] * flow[r].
template <class T, class I>
void rows_flow(const Table &s, const T *weight, const I *index, const T *x, const T *flow, T *by_weight, T *by_x) {
    using V = typename Lanes<T>::type;
    constexpr int64_t lanes = Lanes<T>::width;
    std::fill(by_x, by_x + s.sources * s.width, T(0));
    for (int64_t r = 0; r < s.rows; ++r) {
        const T *given = flow + r * s.width;
        for (int64_t k = 0; k < s.slots; ++k) {
            const int64_t at = k * s.rows + r;
            const T *from = x + static_cast<int64_t>(index[at]) * s.width;
            T *to = by_x + static_cast<int64_t>(index[at]) * s.width, rest = 0;
            const T w = weight[at];
            V sum = {};
            int64_t b = 0;
            for (; b + lanes <= s.width; b += lanes) {
                const V some = load<T>(given + b);
                sum += load<T>(from + b) * some;
                store<T>(to + b, load<T>(to + b) + w * some);
            }
            for (; b < s.width; ++b) {
                rest += from[b] * given[b];
                to[b] += w * given[b];
            }
            by_weight[at] = total<T>(sum) + rest;
        }
    }
}

}  // namespace cortexspec
