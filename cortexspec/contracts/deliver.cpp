// The kernels of deliver.hpp under C names: float or double, 32- or 64-bit indices.
#include "deliver.hpp"

using cortexspec::Sizes;

#define KERNELS(T, I, name)                                                                                                            \
    extern "C" void deliver_##name(const Sizes *s, const T *z, const I *rows, const I *target, const T *weight, const I *now,          \
                                   const I *delay, T *ring) {                                                                          \
        cortexspec::deliver<T, I>(*s, z, rows, target, weight, now, delay, ring);                                                      \
    }                                                                                                                                  \
    extern "C" void collect_##name(const Sizes *s, const I *rows, const I *target, const T *weight, const T *ring, const I *now,       \
                                   const I *delay, const T *reached, T *found) {                                                       \
        cortexspec::collect<T, I>(*s, rows, target, weight, ring, now, delay, reached, found);                                         \
    }                                                                                                                                  \
    extern "C" void per_edge_##name(const Sizes *s, const T *z, const I *rows, const I *target, const T *ring, const I *now,           \
                                    const I *delay, T *found) {                                                                        \
        cortexspec::per_edge<T, I>(*s, z, rows, target, ring, now, delay, found);                                                      \
    }

KERNELS(float, int32_t, f32_i32)
KERNELS(float, int64_t, f32_i64)
KERNELS(double, int32_t, f64_i32)
KERNELS(double, int64_t, f64_i64)
