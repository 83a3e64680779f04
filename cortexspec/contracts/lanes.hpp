// Vectors of 512 bits; a processor with narrower ones takes each in parts.
#pragma once
#include <cstdint>
#include <cstring>

namespace cortexspec {

template <class T, int64_t lanes = 64 / sizeof(T)>
struct Lanes {
    static constexpr int64_t width = lanes, bytes = lanes * sizeof(T);
    typedef T type __attribute__((vector_size(bytes)));
    typedef T loose __attribute__((vector_size(bytes), aligned(sizeof(T)), may_alias));
};

template <class T>
inline typename Lanes<T>::type load(const T *from) {
    return *reinterpret_cast<const typename Lanes<T>::loose *>(from);
}

template <class T>
inline void store(T *to, typename Lanes<T>::type x) {
    *reinterpret_cast<typename Lanes<T>::loose *>(to) = x;
}

template <class T, int64_t n>
inline T total_of(typename Lanes<T, n>::type x) {
    if constexpr (n == 2) {
        return x[0] + x[1];
    } else {
        typename Lanes<T, n / 2>::type half[2];
        std::memcpy(half, &x, sizeof x);
        return total_of<T, n / 2>(half[0] + half[1]);
    }
}

// The sum of a vector, by halves.
template <class T>
inline T total(typename Lanes<T>::type x) {
    return total_of<T, Lanes<T>::width>(x);
}

}  // namespace cortexspec
