// Kernel of many small matrix products.
//
// c[n] = a[n] b[n] for each n: a [n, rows, terms], b [n, terms, columns], c [n, rows, columns]. `flip_a`, `flip_b`: a, b is held with its
// last two axes exchanged. A block of c stays in registers; what has its terms in the last axis of b is turned first.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "lanes.hpp"

namespace cortexspec {

struct Product {
    int64_t count, rows, terms, columns;
    bool flip_a, flip_b;
};

// c[r, 0 : L*width] for R rows; a is read at a[r*row + t*term], b at b[t*stride].
template <class T, int R, int L>
inline void block(const T *a, int64_t row, int64_t term, const T *b, int64_t stride, int64_t terms, T *c, int64_t pitch) {
    using V = typename Lanes<T>::type;
    constexpr int64_t width = Lanes<T>::width;
    V sum[R][L] = {};
    for (int64_t t = 0; t < terms; ++t) {
        V right[L];
        for (int l = 0; l < L; ++l) right[l] = load<T>(b + t * stride + l * width);
        for (int r = 0; r < R; ++r) {
            const T left = a[r * row + t * term];
            for (int l = 0; l < L; ++l) sum[r][l] += left * right[l];
        }
    }
    for (int r = 0; r < R; ++r)
        for (int l = 0; l < L; ++l) store<T>(c + r * pitch + l * width, sum[r][l]);
}

template <class T, int L>
inline void rows_of(const T *a, int64_t row, int64_t term, const T *b, int64_t stride, int64_t terms, T *c, int64_t pitch, int64_t rows) {
    constexpr int R = L == 1 ? 12 : 6;
    int64_t r = 0;
    for (; r + R <= rows; r += R) block<T, R, L>(a + r * row, row, term, b, stride, terms, c + r * pitch, pitch);
    for (; r + 3 <= rows; r += 3) block<T, 3, L>(a + r * row, row, term, b, stride, terms, c + r * pitch, pitch);
    for (; r < rows; ++r) block<T, 1, L>(a + r * row, row, term, b, stride, terms, c + r * pitch, pitch);
}

// b [terms, columns] with as many columns as lanes want, zeros behind.
template <class T>
inline void widen(const T *b, const Product &p, int64_t wide, T *to) {
    if (!p.flip_b) {
        for (int64_t t = 0; t < p.terms; ++t) std::memcpy(to + t * wide, b + t * p.columns, p.columns * sizeof(T));
        return;
    }
    constexpr int64_t side = 8;
    int64_t k = 0;
    for (; k + side <= p.columns; k += side) {
        int64_t t = 0;
        for (; t + side <= p.terms; t += side)
            for (int64_t j = 0; j < side; ++j)
                for (int64_t i = 0; i < side; ++i) to[(t + j) * wide + k + i] = b[(k + i) * p.terms + t + j];
        for (; t < p.terms; ++t)
            for (int64_t i = 0; i < side; ++i) to[t * wide + k + i] = b[(k + i) * p.terms + t];
    }
    for (; k < p.columns; ++k)
        for (int64_t t = 0; t < p.terms; ++t) to[t * wide + k] = b[k * p.terms + t];
}

template <class T>
void products(const Product &p, const T *a, const T *b, T *c) {
    constexpr int64_t width = Lanes<T>::width;
    const int64_t wide = (p.columns + width - 1) / width * width;
    const bool turned = p.flip_b || wide != p.columns;
    const int64_t row = p.flip_a ? 1 : p.terms, term = p.flip_a ? p.rows : 1;
    std::vector<T> right(turned ? p.terms * wide : 0), found(wide != p.columns ? p.rows * wide : 0);
    for (int64_t n = 0; n < p.count; ++n, a += p.rows * p.terms, b += p.terms * p.columns, c += p.rows * p.columns) {
        if (turned) widen(b, p, wide, right.data());
        const T *from = turned ? right.data() : b;
        T *to = wide != p.columns ? found.data() : c;
        int64_t k = 0;
        for (; k + 2 * width <= wide; k += 2 * width) rows_of<T, 2>(a, row, term, from + k, wide, p.terms, to + k, wide, p.rows);
        for (; k < wide; k += width) rows_of<T, 1>(a, row, term, from + k, wide, p.terms, to + k, wide, p.rows);
        if (to != c)
            for (int64_t r = 0; r < p.rows; ++r) std::memcpy(c + r * p.columns, to + r * wide, p.columns * sizeof(T));
    }
}

}  // namespace cortexspec
